//! Who may depend on whom.
//!
//! The table is the reader's truth: an arrow that is not in it is not meant to be.

use super::Finding;
use crate::cargo::{Dependency, Package, Workspace};

/// What one crate may depend on, of our own crates and of others'.
struct Rule {
    /// The crate, or `plugins/*` for every plugin.
    package: &'static str,
    /// Our crates that it may use.
    may_use: Ours,
    /// Crates, ours or others', that it may use only as optional ones: a feature brings them in.
    only_optional: &'static [&'static str],
    /// Our crates that its tests may use besides.
    tests_may_use: Ours,
    /// Others' crates that it must never use.
    never: &'static [&'static str],
}

/// Some of our crates.
#[derive(Clone, Copy)]
enum Ours {
    Only(&'static [&'static str]),
    Any,
}

const NONE: Ours = Ours::Only(&[]);

const RULES: &[Rule] = &[
    // The wire. It knows the protocol and nothing above it.
    Rule {
        package: "driver-core",
        may_use: NONE,
        only_optional: &[],
        tests_may_use: Ours::Only(&["vmmdev"]),
        never: &["clap", "serde", "serde_json", "toml", "wasmparser", "wasmtime", "x11rb"],
    },
    // The host's side of the wire. It knows the wire and not the guest. Its command, and the socket
    // that the command serves, are not for the daemon.
    Rule {
        package: "vmmdev",
        may_use: Ours::Only(&["driver-core"]),
        only_optional: &["anyhow", "clap", "nix", "tracing-subscriber", "vfio_user", "vm-memory"],
        tests_may_use: NONE,
        never: &["toml", "wasmparser", "wasmtime", "x11rb"],
    },
    // Desktops know neither the wire nor the sandbox.
    Rule {
        package: "bellhop-desktop",
        may_use: NONE,
        only_optional: &[],
        tests_may_use: Ours::Only(&["bellhop-xserver"]),
        never: &["serde", "toml", "wasmparser", "wasmtime", "wit-bindgen", "zerocopy"],
    },
    // The agent joins the driver and the desktop. It sees no bytes of the wire, and the device model
    // is in it for the demo alone.
    Rule {
        package: "bellhop",
        may_use: Ours::Only(&["driver-core", "bellhop-desktop"]),
        only_optional: &["png", "vmmdev"],
        tests_may_use: Ours::Any,
        never: &["wit-bindgen", "x11rb", "zerocopy"],
    },
    // A plugin of ours uses what a third party's has: the SDK.
    Rule {
        package: "bellhop-plugin",
        may_use: NONE,
        only_optional: &[],
        tests_may_use: NONE,
        never: &["wasmtime"],
    },
    Rule {
        package: "plugins/*",
        may_use: Ours::Only(&["bellhop-plugin"]),
        only_optional: &[],
        tests_may_use: NONE,
        never: &["wasmtime", "x11rb", "zerocopy"],
    },
    // A plugin that only tests run, made as a third party's is.
    Rule {
        package: "probe",
        may_use: Ours::Only(&["bellhop-plugin"]),
        only_optional: &[],
        tests_may_use: NONE,
        never: &["wasmtime", "x11rb", "zerocopy"],
    },
    Rule {
        package: "wasi-probe",
        may_use: Ours::Only(&["bellhop-plugin"]),
        only_optional: &[],
        tests_may_use: NONE,
        never: &["wasmtime", "x11rb", "zerocopy"],
    },
    // The whole system under test.
    Rule {
        package: "bellhop-tests",
        may_use: Ours::Any,
        only_optional: &[],
        tests_may_use: Ours::Any,
        never: &[],
    },
    Rule {
        package: "bellhop-fuzz",
        may_use: Ours::Any,
        only_optional: &["libfuzzer-sys"],
        tests_may_use: NONE,
        never: &[],
    },
    Rule {
        package: "bellhop-xserver",
        may_use: NONE,
        only_optional: &[],
        tests_may_use: NONE,
        never: &["wasmtime"],
    },
    // It runs our programs, in a guest and beside it, and links none of them. What the agent is measured
    // against is a test's own program, on the same wire.
    Rule {
        package: "bellhop-vm-tests",
        may_use: NONE,
        only_optional: &[],
        tests_may_use: Ours::Only(&["driver-core"]),
        never: &["wasmtime", "zerocopy"],
    },
    // Compiled before anything else can be, so it must stay light.
    Rule {
        package: "xtask",
        may_use: Ours::Only(&["bellhop-vm-tests", "bellhop-xserver"]),
        only_optional: &[],
        tests_may_use: NONE,
        never: &["wasmtime", "x11rb"],
    },
];

impl Ours {
    fn contains(self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(names) => names.contains(&name),
        }
    }

    fn describe(self) -> String {
        match self {
            Self::Any => "all of ours".to_owned(),
            Self::Only([]) => "none of ours".to_owned(),
            Self::Only(names) => names.join(", "),
        }
    }
}

/// Holds the workspace against the table.
pub fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &workspace.packages {
        let place = format!("{}/Cargo.toml", workspace.folder(package));
        let Some(rule) = rule(workspace, package) else {
            findings.push(Finding {
                place,
                wrong: format!("no rule says what `{}` may depend on", package.name),
                remedy: format!("Give it one in the table of {}", file!()),
            });
            continue;
        };
        for dependency in &package.dependencies {
            let ours = workspace.packages.iter().any(|p| p.name == dependency.name);
            let wrong =
                if ours { wrong_of_ours(rule, dependency) } else { wrong_of_others(rule, dependency) };
            if let Some(wrong) = wrong {
                findings.push(Finding {
                    place: place.clone(),
                    wrong: format!("`{}` {wrong}", package.name),
                    remedy: format!(
                        "It may depend on {}; if the structure is to change, change the table of {} \
                         and ARCHITECTURE.md",
                        rule.may_use.describe(),
                        file!()
                    ),
                });
            }
        }
    }
    findings
}

fn rule(workspace: &Workspace, package: &Package) -> Option<&'static Rule> {
    let by_name = RULES.iter().find(|rule| rule.package == package.name);
    let is_plugin = workspace.folder(package).starts_with("plugins/");
    by_name.or_else(|| RULES.iter().find(|rule| is_plugin && rule.package == "plugins/*"))
}

fn wrong_of_ours(rule: &Rule, dependency: &Dependency) -> Option<String> {
    let name = dependency.name.as_str();
    let in_tests = dependency.kind.as_deref() == Some("dev");
    if rule.may_use.contains(name) || (in_tests && rule.tests_may_use.contains(name)) {
        return None;
    }
    if rule.only_optional.contains(&name) {
        return wrong_of_optional(dependency);
    }
    Some(format!("depends on `{name}`{}", if in_tests { " in its tests" } else { "" }))
}

fn wrong_of_others(rule: &Rule, dependency: &Dependency) -> Option<String> {
    let in_tests = dependency.kind.as_deref() == Some("dev");
    if rule.only_optional.contains(&dependency.name.as_str()) {
        return wrong_of_optional(dependency);
    }
    let never = rule.never.contains(&dependency.name.as_str());
    (never && !in_tests).then(|| format!("depends on `{}`, which it must not know", dependency.name))
}

fn wrong_of_optional(dependency: &Dependency) -> Option<String> {
    let in_tests = dependency.kind.as_deref() == Some("dev");
    (!dependency.optional && !in_tests)
        .then(|| format!("depends on `{}` always; only a feature may bring it in", dependency.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule_of(package: &str) -> &'static Rule {
        RULES.iter().find(|rule| rule.package == package).unwrap()
    }

    fn dependency(name: &str, kind: Option<&str>, optional: bool) -> Dependency {
        Dependency { name: name.to_owned(), kind: kind.map(str::to_owned), optional }
    }

    #[test]
    fn an_arrow_in_the_table_is_fine_and_another_is_not() {
        let rule = rule_of("vmmdev");

        assert_eq!(wrong_of_ours(rule, &dependency("driver-core", None, false)), None);
        assert!(wrong_of_ours(rule, &dependency("bellhop", None, false)).is_some());
        assert!(wrong_of_ours(rule, &dependency("bellhop", Some("dev"), false)).is_some());
    }

    #[test]
    fn the_device_model_is_in_the_agent_only_by_a_feature() {
        let rule = rule_of("bellhop");

        assert!(wrong_of_ours(rule, &dependency("vmmdev", None, false)).is_some());
        assert_eq!(wrong_of_ours(rule, &dependency("vmmdev", None, true)), None);
        assert_eq!(wrong_of_ours(rule, &dependency("vmmdev", Some("dev"), false)), None);
    }

    #[test]
    fn the_command_of_the_device_model_is_only_in_it_by_a_feature() {
        let rule = rule_of("vmmdev");

        assert!(wrong_of_others(rule, &dependency("clap", None, false)).is_some());
        assert_eq!(wrong_of_others(rule, &dependency("clap", None, true)), None);
        assert_eq!(wrong_of_others(rule, &dependency("clap", Some("dev"), false)), None);
    }

    #[test]
    fn the_wire_knows_nothing_of_the_sandbox() {
        let rule = rule_of("driver-core");

        assert!(wrong_of_others(rule, &dependency("wasmtime", None, true)).is_some());
        assert_eq!(wrong_of_others(rule, &dependency("zerocopy", None, false)), None);
        assert_eq!(wrong_of_others(rule, &dependency("toml", Some("dev"), false)), None);
    }
}
