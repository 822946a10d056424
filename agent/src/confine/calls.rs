//! System calls: which are made, and what becomes of the others.
//!
//! The daemon has a list of what it makes. A call that is not on it does not exist to it (`ENOSYS`), which
//! is what libraries are prepared for that try a newer call before an older one; whoever made it says
//! what failed. Calls that nothing here would ever try, but that somebody who took the process over would,
//! end the process, and the kernel writes the call's number to its log (`audit: type=1326`). So an update of
//! a library costs a feature at worst, and an attack is seen.
//!
//! The compiler has a shorter list, and ends at anything else.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads,
};

use super::{Lacking, Needs};

/// A system call, and the arguments with which it is made: any that one of the rows allows.
type Row = (libc::c_long, &'static [Arguments]);

/// An argument by its position, and the value that it has where the mask has ones.
type Arguments = (u8, u64, u64);

/// With any arguments.
const ANY: &[Arguments] = &[];

/// The whole of an argument of 32 bits.
const ALL: u64 = u32::MAX as u64;

/// Memory that can be written to and executed is had by nobody. Native code is mapped from a file, and made
/// executable then.
const NOT_BOTH: &[Arguments] = {
    const BOTH: u64 = (libc::PROT_WRITE | libc::PROT_EXEC) as u64;
    &[(2, BOTH, 0), (2, BOTH, libc::PROT_WRITE as u64), (2, BOTH, libc::PROT_EXEC as u64)]
};

/// What is not executable does not become so: where plugins are bytecode, and where nothing is run but the
/// program itself. It is what `PR_SET_MDWE` does, which not every kernel has.
const NOT_EXECUTABLE: &[Arguments] = &[(2, libc::PROT_EXEC as u64, 0)];

/// Threads and children, but no new namespaces: in one of its own a process has all capabilities.
const NO_NAMESPACE: &[Arguments] = {
    const NAMESPACES: libc::c_int = libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET;
    &[(0, NAMESPACES as u32 as u64, 0)]
};

/// Orders to the kernel's VMMDev driver, whose numbers have its letter, and what the standard library asks
/// of pipes, sockets and terminals.
const ORDERS: &[Arguments] = &[
    (1, 0xff00, (driver_core::vboxguest::IOCTL_TYPE as u64) << 8),
    (1, ALL, libc::FIONBIO),
    (1, ALL, libc::FIOCLEX),
    (1, ALL, libc::FIONREAD),
    (1, ALL, libc::TCGETS),
];

const LOCAL: &[Arguments] = &[(0, ALL, libc::AF_UNIX as u64)];

/// With an X server on another machine: it, and name servers. Netlink tells which addresses this one has.
const REMOTE: &[Arguments] = &[
    (0, ALL, libc::AF_UNIX as u64),
    (0, ALL, libc::AF_INET as u64),
    (0, ALL, libc::AF_INET6 as u64),
    (0, ALL, libc::AF_NETLINK as u64),
];

/// What a thread needs to compute, whatever it computes, besides `mmap` and `mprotect`.
const COMPUTING: &[Row] = &[
    // Memory.
    (libc::SYS_brk, ANY),
    (libc::SYS_madvise, ANY),
    (libc::SYS_mremap, ANY),
    (libc::SYS_munmap, ANY),
    // What is open already.
    (libc::SYS_close, ANY),
    (libc::SYS_fstat, ANY),
    (libc::SYS_lseek, ANY),
    (libc::SYS_read, ANY),
    (libc::SYS_readv, ANY),
    (libc::SYS_write, ANY),
    (libc::SYS_writev, ANY),
    // Locks, time, chance, and the processors there are.
    (libc::SYS_clock_getres, ANY),
    (libc::SYS_clock_gettime, ANY),
    (libc::SYS_futex, ANY),
    (libc::SYS_getrandom, ANY),
    (libc::SYS_gettimeofday, ANY),
    (libc::SYS_sched_getaffinity, ANY),
    (libc::SYS_sched_yield, ANY),
    // Signals, of which a panic or an empty memory sends one to itself.
    (libc::SYS_getpid, ANY),
    (libc::SYS_gettid, ANY),
    (libc::SYS_restart_syscall, ANY),
    (libc::SYS_rt_sigaction, ANY),
    (libc::SYS_rt_sigprocmask, ANY),
    (libc::SYS_rt_sigreturn, ANY),
    (libc::SYS_sigaltstack, ANY),
    (libc::SYS_tgkill, ANY),
    // The end.
    (libc::SYS_exit, ANY),
    (libc::SYS_exit_group, ANY),
];

/// What the daemon does besides.
const SERVING: &[Row] = &[
    // Threads, and the compiler as a child. `clone3`, whose flags no filter can look at, is left out: the C
    // library falls back on `clone`.
    (libc::SYS_clone, NO_NAMESPACE),
    (libc::SYS_close_range, ANY),
    (libc::SYS_dup, ANY),
    (libc::SYS_dup3, ANY),
    (libc::SYS_execve, ANY),
    (libc::SYS_kill, ANY),
    (libc::SYS_pidfd_open, ANY),
    (libc::SYS_pidfd_send_signal, ANY),
    (libc::SYS_pipe2, ANY),
    (libc::SYS_prctl, ANY),
    (libc::SYS_prlimit64, ANY),
    (libc::SYS_rseq, ANY),
    (libc::SYS_set_robust_list, ANY),
    (libc::SYS_set_tid_address, ANY),
    (libc::SYS_wait4, ANY),
    (libc::SYS_waitid, ANY),
    // The compiler confines itself further.
    (libc::SYS_landlock_add_rule, ANY),
    (libc::SYS_landlock_create_ruleset, ANY),
    (libc::SYS_landlock_restrict_self, ANY),
    (libc::SYS_seccomp, ANY),
    // Files: which ones is Landlock's business.
    (libc::SYS_faccessat, ANY),
    (libc::SYS_faccessat2, ANY),
    (libc::SYS_fchmod, ANY),
    (libc::SYS_fchmodat, ANY),
    (libc::SYS_fcntl, ANY),
    (libc::SYS_fdatasync, ANY),
    (libc::SYS_flock, ANY),
    (libc::SYS_fstatfs, ANY),
    (libc::SYS_fsync, ANY),
    (libc::SYS_ftruncate, ANY),
    (libc::SYS_getcwd, ANY),
    (libc::SYS_getdents64, ANY),
    (libc::SYS_ioctl, ORDERS),
    (libc::SYS_memfd_create, ANY),
    (libc::SYS_mkdirat, ANY),
    (libc::SYS_newfstatat, ANY),
    (libc::SYS_openat, ANY),
    (libc::SYS_pread64, ANY),
    (libc::SYS_pwrite64, ANY),
    (libc::SYS_readlinkat, ANY),
    (libc::SYS_renameat, ANY),
    (libc::SYS_renameat2, ANY),
    (libc::SYS_statfs, ANY),
    (libc::SYS_statx, ANY),
    (libc::SYS_unlinkat, ANY),
    // Sockets: the X server, the journal, the service manager, and whoever asks how the agent fares.
    (libc::SYS_accept4, ANY),
    (libc::SYS_bind, ANY),
    (libc::SYS_connect, ANY),
    (libc::SYS_getpeername, ANY),
    (libc::SYS_getsockname, ANY),
    (libc::SYS_getsockopt, ANY),
    (libc::SYS_listen, ANY),
    (libc::SYS_recvfrom, ANY),
    (libc::SYS_recvmsg, ANY),
    (libc::SYS_sendmmsg, ANY),
    (libc::SYS_sendmsg, ANY),
    (libc::SYS_sendto, ANY),
    (libc::SYS_setsockopt, ANY),
    (libc::SYS_shutdown, ANY),
    (libc::SYS_socketpair, LOCAL),
    // Waiting.
    (libc::SYS_clock_nanosleep, ANY),
    (libc::SYS_epoll_create1, ANY),
    (libc::SYS_epoll_ctl, ANY),
    (libc::SYS_epoll_pwait, ANY),
    (libc::SYS_eventfd2, ANY),
    (libc::SYS_nanosleep, ANY),
    (libc::SYS_ppoll, ANY),
    (libc::SYS_rt_sigtimedwait, ANY),
    (libc::SYS_signalfd4, ANY),
    (libc::SYS_timerfd_create, ANY),
    (libc::SYS_timerfd_gettime, ANY),
    (libc::SYS_timerfd_settime, ANY),
    // Who and where this is.
    (libc::SYS_getegid, ANY),
    (libc::SYS_geteuid, ANY),
    (libc::SYS_getgid, ANY),
    (libc::SYS_getppid, ANY),
    (libc::SYS_getrusage, ANY),
    (libc::SYS_getuid, ANY),
    (libc::SYS_membarrier, ANY),
    (libc::SYS_sysinfo, ANY),
    (libc::SYS_uname, ANY),
];

/// What only this architecture has: older forms of calls above, by which the C library still makes them.
#[cfg(target_arch = "x86_64")]
const ALSO: &[Row] = &[
    (libc::SYS_access, ANY),
    (libc::SYS_arch_prctl, ANY),
    (libc::SYS_chmod, ANY),
    (libc::SYS_dup2, ANY),
    (libc::SYS_epoll_wait, ANY),
    (libc::SYS_getrlimit, ANY),
    (libc::SYS_lstat, ANY),
    (libc::SYS_mkdir, ANY),
    (libc::SYS_open, ANY),
    (libc::SYS_poll, ANY),
    (libc::SYS_readlink, ANY),
    (libc::SYS_rename, ANY),
    (libc::SYS_rmdir, ANY),
    (libc::SYS_stat, ANY),
    (libc::SYS_time, ANY),
    (libc::SYS_unlink, ANY),
    (libc::SYS_vfork, ANY),
];
#[cfg(not(target_arch = "x86_64"))]
const ALSO: &[Row] = &[];

/// What nothing here would ever try.
const NEVER: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsopen,
    libc::SYS_init_module,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

/// A list of calls, and what becomes of those that are not on it, or of those that are.
pub(super) struct Filter {
    rows: BTreeMap<i64, Vec<SeccompRule>>,
    listed: SeccompAction,
    others: SeccompAction,
}

/// The filters of the daemon.
pub(super) fn daemon(needs: &Needs) -> Vec<Filter> {
    let by_need = [
        (libc::SYS_socket, if needs.ports.is_empty() { LOCAL } else { REMOTE }),
        // The loader of the compiler, a child of the daemon, maps the libraries of that.
        (libc::SYS_mmap, NOT_BOTH),
        (libc::SYS_mprotect, if needs.executable_memory { NOT_BOTH } else { NOT_EXECUTABLE }),
    ];
    let made = COMPUTING.iter().chain(SERVING).chain(ALSO).chain(&by_need);
    let never = NEVER.iter().map(|number| (*number, ANY));
    vec![
        Filter {
            rows: rows(made.copied()),
            listed: SeccompAction::Allow,
            others: SeccompAction::Errno(libc::ENOSYS as u32),
        },
        Filter { rows: rows(never), listed: SeccompAction::KillProcess, others: SeccompAction::Allow },
    ]
}

/// The filter of a compiler.
pub(super) fn compiler() -> Vec<Filter> {
    let memory = [(libc::SYS_mmap, NOT_EXECUTABLE), (libc::SYS_mprotect, NOT_EXECUTABLE)];
    let rows = rows(COMPUTING.iter().chain(&memory).copied());
    vec![Filter { rows, listed: SeccompAction::Allow, others: SeccompAction::KillProcess }]
}

/// Puts filters on every thread of this process. The last one is looked at first, and the severest wins.
pub(super) fn restrict(filters: &[Filter]) -> Result<(), Lacking> {
    let cannot = |error: &dyn std::fmt::Display| Lacking(format!("cannot give up system calls: {error}"));
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| cannot(&error))?;
    for Filter { rows, listed, others } in filters {
        let filter = SeccompFilter::new(rows.clone(), others.clone(), listed.clone(), architecture);
        let program = filter.and_then(BpfProgram::try_from).map_err(|error| cannot(&error))?;
        apply_filter_all_threads(&program).map_err(|error| cannot(&error))?;
    }
    Ok(())
}

/// Whether this kernel filters system calls.
pub(super) fn offered() -> bool {
    std::path::Path::new("/proc/sys/kernel/seccomp/actions_avail").exists()
}

fn rows(rows: impl Iterator<Item = Row>) -> BTreeMap<i64, Vec<SeccompRule>> {
    let rules = |arguments: &[Arguments]| arguments.iter().filter_map(|argument| rule(*argument)).collect();
    rows.map(|(number, arguments)| (number, rules(arguments))).collect()
}

/// Of an argument of 32 bits the upper half of its register is whatever was there before.
fn rule((position, mask, value): Arguments) -> Option<SeccompRule> {
    let matches = SeccompCmpOp::MaskedEq(mask);
    let condition = SeccompCondition::new(position, SeccompCmpArgLen::Dword, matches, value).ok()?;
    SeccompRule::new(vec![condition]).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_call_is_made_and_forbidden_or_stands_twice() {
        let made: Vec<_> = COMPUTING.iter().chain(SERVING).chain(ALSO).map(|(number, _)| *number).collect();
        let all: BTreeSet<_> = made.iter().chain(NEVER).collect();

        assert_eq!(all.len(), made.len() + NEVER.len());
    }

    #[test]
    fn every_row_keeps_its_arguments() {
        for (number, arguments) in COMPUTING.iter().chain(SERVING).chain(ALSO) {
            assert_eq!(rows([(*number, *arguments)].into_iter())[number].len(), arguments.len(), "{number}");
        }
    }

    #[test]
    fn the_filters_are_short_enough_for_the_kernel() {
        const MOST_INSTRUCTIONS: usize = 4096;
        let architecture = TargetArch::try_from(std::env::consts::ARCH).expect("a known architecture");
        let needs = Needs { ports: vec![6000], executable_memory: true, ..Needs::default() };
        for Filter { rows, listed, others } in daemon(&needs).into_iter().chain(compiler()) {
            let filter = SeccompFilter::new(rows, others, listed, architecture).expect("a filter");
            assert!(BpfProgram::try_from(filter).expect("a program").len() < MOST_INSTRUCTIONS);
        }
    }
}
