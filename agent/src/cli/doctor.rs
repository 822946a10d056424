//! `bellhop doctor`: what on this machine is well, what is not, and what to do.

use std::path::Path;

use anyhow::Result;
use bellhop_agent::config::{Config, DriverChoice};
use bellhop_agent::confine::{self, Confine};
use bellhop_agent::control;
use bellhop_agent::control::client::Client;
use bellhop_agent::sandbox::{admission, cache};
use bellhop_desktop::Backend;

use super::{ConfigOption, Verdict, competitors, drivers, run};

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grade {
    Well,
    /// As it may be, and worth knowing.
    Note,
    Ill,
}

/// Something that was looked at.
struct Finding {
    subject: &'static str,
    grade: Grade,
    text: String,
    /// What to do.
    remedy: Option<String>,
}

/// What is looked at, in this order.
const EXAMINATIONS: [fn(&Config) -> Vec<Finding>; 7] =
    [device, competing, agent, desktop, cache_folder, plugins, confinement];

pub(super) fn doctor(options: &ConfigOption) -> Result<Verdict> {
    let config = match Config::load(&options.config) {
        Ok(config) => config,
        Err(error) => {
            // What the rest is held against cannot be had.
            show(&ill("configuration", error.to_string(), None));
            return Ok(Verdict::Unwell);
        }
    };
    show(&well("configuration", format!("{} makes sense", options.config.display())));
    let mut verdict = Verdict::Well;
    for finding in EXAMINATIONS.iter().flat_map(|examine| examine(&config)) {
        show(&finding);
        if finding.grade == Grade::Ill {
            verdict = Verdict::Unwell;
        }
    }
    Ok(verdict)
}

fn show(finding: &Finding) {
    let grade = match finding.grade {
        Grade::Well => "well",
        Grade::Note => "note",
        Grade::Ill => "ILL",
    };
    let mut lines = finding.text.lines();
    say!("{grade:<5} {:<14} {}", finding.subject, lines.next().unwrap_or_default());
    lines.for_each(|line| say!("{:21}{line}", ""));
    if let Some(remedy) = &finding.remedy {
        say!("{:21}-> {remedy}", "");
    }
}

fn well(subject: &'static str, text: String) -> Finding {
    Finding { subject, grade: Grade::Well, text, remedy: None }
}

fn note(subject: &'static str, text: String, remedy: Option<String>) -> Finding {
    Finding { subject, grade: Grade::Note, text, remedy }
}

fn ill(subject: &'static str, text: String, remedy: Option<String>) -> Finding {
    Finding { subject, grade: Grade::Ill, text, remedy }
}

fn device(config: &Config) -> Vec<Finding> {
    const SUBJECT: &str = "device";
    let driver = drivers::open(config).map_err(anyhow::Error::from).and_then(drivers::Device::driver);
    vec![match driver {
        Ok(driver) if config.driver == DriverChoice::Simulated => {
            note(SUBJECT, format!("simulated: {}", driver.describe()), None)
        }
        Ok(driver) => well(SUBJECT, driver.describe()),
        Err(error) => ill(SUBJECT, format!("{error:#}"), None),
    }]
}

fn competing(_: &Config) -> Vec<Finding> {
    const SUBJECT: &str = "other agents";
    let running = competitors::running(Path::new("/proc"));
    if running.is_empty() {
        return vec![well(SUBJECT, "none of VirtualBox's own runs".to_owned())];
    }
    let ill = |(program, process): (&str, u32)| {
        ill(
            SUBJECT,
            format!("{program} runs, as process {process}: each of you misses what the other gets"),
            Some(format!("stop {program}, or leave its features out of agent.toml")),
        )
    };
    running.into_iter().map(ill).collect()
}

fn agent(config: &Config) -> Vec<Finding> {
    const SUBJECT: &str = "this agent";
    let Some(path) = control::path_for(&config.path) else {
        return vec![note(SUBJECT, "no control socket is configured, so nobody can ask it".to_owned(), None)];
    };
    vec![match Client::connect(&path) {
        Ok(_) => well(SUBJECT, format!("runs, and answers at {}", path.display())),
        Err(error) => note(SUBJECT, error.to_string(), None),
    }]
}

fn desktop(config: &Config) -> Vec<Finding> {
    let chosen = run::desktop(config);
    let text = format!("{} ({})", chosen.desktop.outputs.describe(), chosen.reason);
    vec![match chosen.backend {
        Backend::X11 => well("desktop", text),
        _ => {
            let remedy = "for the session's desktop, run it in the session, with DISPLAY set".to_owned();
            note("desktop", text, Some(remedy))
        }
    }]
}

fn cache_folder(config: &Config) -> Vec<Finding> {
    const SUBJECT: &str = "cache";
    let folder = &config.cache;
    if !folder.exists() {
        let text = format!("{} is made when the first component is compiled", folder.display());
        return vec![note(SUBJECT, text, None)];
    }
    vec![match cache::trust(folder) {
        Ok(()) => well(SUBJECT, folder.display().to_string()),
        // The daemon may become another user.
        Err(error) if config.process.user.is_some() => note(SUBJECT, format!("{error:#}"), None),
        Err(error) => ill(SUBJECT, format!("{error:#}"), None),
    }]
}

fn plugins(config: &Config) -> Vec<Finding> {
    const SUBJECT: &str = "plugins";
    if config.plugins.is_empty() {
        let remedy = "the reference agent.toml has the tables of those that come with Bellhop".to_owned();
        return vec![note(SUBJECT, "agent.toml has none".to_owned(), Some(remedy))];
    }
    let examine = |plugin: &bellhop_agent::config::Plugin| {
        let name = &plugin.name;
        if !plugin.enabled {
            return note(SUBJECT, format!("{name} is switched off"), None);
        }
        match admission::read(plugin).and_then(|bytes| admission::examine(&bytes, &plugin.authority)) {
            Ok(_) => well(SUBJECT, format!("{name} fits its grants")),
            Err(refusal) => ill(
                SUBJECT,
                format!("{name}: {refusal}"),
                Some(format!("`bellhop explain {name}` shows what it needs")),
            ),
        }
    };
    config.plugins.iter().map(examine).collect()
}

fn confinement(config: &Config) -> Vec<Finding> {
    const SUBJECT: &str = "confinement";
    if config.process.confine == Confine::Off {
        return vec![note(SUBJECT, "off: the process keeps all that it may do".to_owned(), None)];
    }
    let (_, lacks) = confine::offer();
    vec![if lacks.is_empty() {
        well(SUBJECT, "this kernel can take away all that is given up".to_owned())
    } else {
        note(SUBJECT, format!("this kernel cannot take away {}", lacks.join(", ")), None)
    }]
}
