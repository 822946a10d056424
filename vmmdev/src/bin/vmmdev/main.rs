//! `vmmdev`: a VirtualBox host's side of VMMDev for a machine in QEMU, and what a person does there.

#![forbid(unsafe_code)]

mod control;
mod ctl;
mod serve;
mod socket;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Where the control socket is, below the user's runtime folder, when nobody says.
const USUAL_CONTROL: &str = "vmmdev.control";

const QEMU: &str = "\
Attach it to a machine:
  1. vmmdev serve --socket /tmp/vmmdev.socket
     It must be listening before QEMU starts, and serves one machine after the other.
  2. qemu-system-x86_64 \\
       -M pc,memory-backend=mem \\
       -object memory-backend-memfd,id=mem,size=512M,share=on -m 512 \\
       -device '{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\",\"path\":\"/tmp/vmmdev.socket\"}}' \\
       ...
     QEMU 10.1 or later. The device wants the JSON form. The memory must be a shared memfd: in any
     other the device cannot see what its guest asks. -M q35 and -smp work as well; use -accel tcg
     unless you know that interrupts of a vfio-user device work with your KVM.
     \"Could not enable error recovery\" is harmless.
  3. The guest's own vboxguest driver finds the device: /dev/vboxguest appears.
  4. vmmdev ctl hint 0 1280 800
     `vmmdev ctl help` lists the words. What is copied for the guest and pasted from it goes through
     files, which the process that serves reads and writes, as its own user and from its own folder:
     vmmdev ctl clipboard put text /tmp/a.txt";

/// A VirtualBox host's side of VMMDev, for a machine in QEMU
#[derive(Debug, Parser)]
#[command(version, after_help = QEMU)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Offer the device on a vfio-user socket until a signal or `ctl quit`
    #[command(after_help = QEMU)]
    Serve(serve::Options),
    /// Say words to a host that serves, and show what it answers
    Ctl(ctl::Options),
}

/// Where the words go.
#[derive(Debug, Args)]
struct ControlOption {
    /// The socket for words [default: vmmdev.control in $XDG_RUNTIME_DIR]
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
}

impl ControlOption {
    fn path(&self) -> Option<PathBuf> {
        let usual = || Some(PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?).join(USUAL_CONTROL));
        self.control.clone().or_else(usual)
    }
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(options) => serve::serve(&options),
        Command::Ctl(options) => ctl::ctl(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vmmdev: {error:#}");
            ExitCode::FAILURE
        }
    }
}
