//! What must hold in a virtual machine, on each kernel.
//!
//! Those on a desktop are run by `cargo xtask vm desktop`, and the others by `cargo xtask vm test`.
//! Without what a machine is made of, every test is shown as ignored, with the reason.

mod agent;
mod bare;
mod desktop;
mod hgcm;
mod module;
mod programs;
mod turns;

use std::env;

use libtest_mimic::{Arguments, Trial};
use vm::{Context, Kernel, Kit, Programs, kit};

/// A test on one kernel.
type Test = fn(&Context) -> anyhow::Result<()>;

/// The kernels that a test is run on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    /// Every one: it is about the kernel's driver.
    All,
    /// The newest: it is about the agent, which sees no difference.
    Newest,
    /// The one of a series: that of the desktop's release.
    Series(&'static str),
}

impl On {
    fn includes(self, kernel: &Kernel, kit: &Kit) -> bool {
        match self {
            Self::All => true,
            Self::Newest => kit.kernels().last() == Some(kernel),
            Self::Series(series) => kernel.series() == series,
        }
    }
}

/// The plugins that agents have.
const PLUGINS: [&str; 4] = ["display", "seamless", "clipboard", "probe"];

/// How the names of tests begin that need a desktop, and are run only where they are asked for.
const DESKTOP: &str = "desktop::";

/// What a test cannot do without, besides a kit.
#[derive(Clone, Copy)]
enum Needs {
    Nothing,
    Device,
    Agent,
    /// An agent, and at times that nothing else runs, for which it waits itself.
    AgentAlone,
    Desktop,
}

/// They are begun in this order. The first compiles what the agent is for; while it does, there is what needs
/// no agent.
const TESTS: &[(&str, On, Needs, Test)] = &[
    ("a_component_is_compiled_once", On::Newest, Needs::Agent, agent::once),
    ("a_machine_without_the_device_has_no_node", On::Newest, Needs::Nothing, module::without_device),
    ("the_driver_binds_and_reports", On::All, Needs::Device, module::binds),
    ("each_interrupt_is_handled", On::All, Needs::Device, module::interrupts),
    ("each_interrupt_of_a_busy_guest_is_handled", On::Newest, Needs::Device, module::busy),
    ("heartbeats_are_refused_or_borne", On::Newest, Needs::Device, module::heartbeats),
    ("a_request_refused_to_the_driver_is_survived", On::Newest, Needs::Device, module::refused_once),
    ("services_are_called_and_calls_cancelled", On::All, Needs::Device, hgcm::calls),
    ("a_plugin_s_properties_are_the_host_s", On::Newest, Needs::Agent, agent::properties),
    ("a_wish_from_before_the_start_is_followed", On::Newest, Needs::Agent, agent::before_the_start),
    ("a_wish_is_followed_and_reported", On::All, Needs::Agent, agent::after_the_start),
    ("displays_come_and_go", On::Newest, Needs::Agent, agent::several_displays),
    ("a_burst_ends_in_the_last_wish", On::All, Needs::Agent, agent::burst),
    ("an_agent_that_was_killed_is_replaced", On::Newest, Needs::Agent, agent::killed),
    ("a_stream_of_wishes_is_followed", On::Newest, Needs::Agent, agent::stream),
    ("two_agents_bear_each_other", On::Newest, Needs::Agent, agent::two_agents),
    ("an_agent_whose_display_is_another_s_says_so", On::Newest, Needs::Agent, agent::taken),
    ("a_display_that_is_let_go_is_taken_over", On::Newest, Needs::Agent, agent::let_go),
    ("a_driver_in_use_stays_and_may_go_later", On::Newest, Needs::Agent, agent::reloaded),
    ("a_driver_that_was_unbound_is_used_again", On::Newest, Needs::Agent, agent::rebound),
    ("a_device_that_was_reset_is_used_again", On::Newest, Needs::Agent, agent::host_resets),
    ("figures", On::Newest, Needs::AgentAlone, agent::figures),
    ("a_restored_machine_shows_what_was_saved", On::Newest, Needs::Agent, agent::restored),
    ("a_request_refused_to_the_agent_is_survived", On::Newest, Needs::Agent, agent::refused_once),
    ("any_user_can_be_the_agent_s", On::Newest, Needs::Agent, agent::unprivileged),
    ("an_agent_without_executable_memory_runs_pulley", On::Newest, Needs::Agent, agent::not_executable),
    ("an_agent_without_a_driver_says_what_to_do", On::Newest, Needs::Agent, agent::no_driver),
    ("desktop::a_wish_changes_the_screen", On::Series("6.12"), Needs::Desktop, desktop::wish),
    ("desktop::displays_come_and_go", On::Series("6.12"), Needs::Desktop, desktop::several_displays),
    ("desktop::an_x_server_is_replaced", On::Series("6.12"), Needs::Desktop, desktop::another_x_server),
    ("desktop::windows_are_shown_to_the_host", On::Series("6.12"), Needs::Desktop, desktop::windows),
    ("desktop::text_crosses_the_clipboard", On::Series("6.12"), Needs::Desktop, desktop::text),
    ("desktop::too_much_for_the_driver_is_refused", On::Series("6.12"), Needs::Desktop, desktop::too_much),
    ("desktop::an_agent_that_was_killed_is_replaced", On::Series("6.12"), Needs::Desktop, desktop::killed),
    ("desktop::any_user_can_be_the_agent_s", On::Series("6.12"), Needs::Desktop, desktop::unprivileged),
];

fn main() -> anyhow::Result<()> {
    if let Some(run) = programs::meant() {
        return run();
    }
    let arguments = Arguments::from_args();
    let programs = Programs::of_this_build();
    let desktop = env::var_os(kit::DESKTOP).is_some();
    let tests = TESTS.iter().filter(|(name, ..)| name.starts_with(DESKTOP) == desktop);
    let mut trials = Vec::new();
    match Kit::find() {
        Ok(kit) => {
            for (name, on, needs, test) in tests {
                for kernel in kit.kernels().iter().filter(|kernel| on.includes(kernel, &kit)) {
                    trials.push(trial(name, *needs, *test, &kit, kernel, &programs));
                }
            }
        }
        Err(reason) => trials.extend(tests.map(|(name, ..)| skipped(name, &reason))),
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(name: &str, needs: Needs, test: Test, kit: &Kit, kernel: &Kernel, programs: &Programs) -> Trial {
    let name = format!("linux-{}::{name}", kernel.series());
    let agent = || {
        programs.vmmdev().and_then(|_| programs.bellhop())?;
        PLUGINS.iter().try_for_each(|name| programs.plugin(name).map(drop))
    };
    let lacking = match needs {
        Needs::Nothing => None,
        Needs::Device => programs.vmmdev().err(),
        Needs::Agent | Needs::AgentAlone => agent().err(),
        Needs::Desktop => kit.desktop().and_then(|_| agent()).err(),
    };
    if let Some(reason) = lacking {
        return skipped(&name, &reason);
    }
    let (kit, kernel, programs, title) = (kit.clone(), kernel.clone(), programs.clone(), name.clone());
    Trial::test(name, move || {
        let _turn = (!matches!(needs, Needs::AgentAlone)).then(turns::shared);
        Context::new(&title, kit, kernel, programs)
            .and_then(|context| context.judge(test))
            .map_err(|error| format!("{error:#}").into())
    })
}

fn skipped(name: &str, reason: &anyhow::Error) -> Trial {
    eprintln!("SKIPPED {name}: {reason:#}");
    Trial::test(name, || Ok(())).with_ignored_flag(true)
}
