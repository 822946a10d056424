//! What must hold in a virtual machine, on each kernel.
//!
//! Without what a machine is made of, every test is shown as ignored, with the reason.

mod module;

use libtest_mimic::{Arguments, Trial};
use vm::{Context, Kernel, Kit, Programs};

/// A test on one kernel.
type Test = fn(&Context) -> anyhow::Result<()>;

/// What a test cannot do without, besides a kit.
#[derive(Clone, Copy)]
enum Needs {
    Nothing,
    Device,
}

const TESTS: &[(&str, Needs, Test)] = &[
    ("a_machine_without_the_device_has_no_node", Needs::Nothing, module::without_device),
    ("the_driver_binds_and_reports", Needs::Device, module::binds),
    ("each_interrupt_is_handled", Needs::Device, module::interrupts),
    ("heartbeats_are_refused_or_borne", Needs::Device, module::heartbeats),
    ("a_request_refused_once_is_survived", Needs::Device, module::refused_once),
];

fn main() {
    let arguments = Arguments::from_args();
    let programs = Programs::of_this_build();
    let trials = match Kit::find() {
        Ok(kit) => {
            let on = |kernel| {
                TESTS.iter().map({
                    let (kit, programs) = (&kit, &programs);
                    move |(name, needs, test)| trial(name, *needs, *test, kit, kernel, programs)
                })
            };
            kit.kernels().iter().flat_map(on).collect()
        }
        Err(reason) => TESTS.iter().map(|(name, ..)| skipped(name, &reason)).collect(),
    };
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(name: &str, needs: Needs, test: Test, kit: &Kit, kernel: &Kernel, programs: &Programs) -> Trial {
    let name = format!("linux-{}::{name}", kernel.series());
    let lacking = match needs {
        Needs::Nothing => None,
        Needs::Device => programs.vmmdev().err(),
    };
    if let Some(reason) = lacking {
        return skipped(&name, &reason);
    }
    let (kit, kernel, programs, title) = (kit.clone(), kernel.clone(), programs.clone(), name.clone());
    Trial::test(name, move || {
        Context::new(&title, kit, kernel, programs)
            .and_then(|context| context.judge(test))
            .map_err(|error| format!("{error:#}").into())
    })
}

fn skipped(name: &str, reason: &anyhow::Error) -> Trial {
    eprintln!("SKIPPED {name}: {reason:#}");
    Trial::test(name, || Ok(())).with_ignored_flag(true)
}
