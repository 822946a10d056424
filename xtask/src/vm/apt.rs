//! Debian's other releases, from where this machine gets its own.
//!
//! An apt beside the system's: the same proxies and credentials, the same archive, but lists, caches
//! and sources of its own, in a folder of its own. It downloads; it never installs.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::{packages, process};

/// What signs Debian's archive, where the package debian-archive-keyring puts it.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg"];

/// The names of releases by which a source of this machine is known to be Debian's main archive, and
/// not that of its security updates, or of another distribution.
const RELEASES: [&str; 9] =
    ["bookworm", "trixie", "forky", "duke", "sid", "oldstable", "stable", "testing", "unstable"];

/// An apt of our own.
pub struct Apt {
    configuration: PathBuf,
}

impl Apt {
    /// Prepares it in a folder, for these suites.
    pub fn prepare(folder: &Path, suites: &[&str]) -> anyhow::Result<Self> {
        for program in ["apt-get", "apt-cache", "dpkg-deb"] {
            if process::find(program).is_none() {
                bail!("there is no {program} here, and QEMU and the kernels come as Debian's packages");
            }
        }
        let Some(keyring) = KEYRINGS.iter().find(|file| Path::new(file).is_file()) else {
            bail!("{} is missing: install debian-archive-keyring", KEYRINGS[1]);
        };
        let fields = "$(CREATED_BY)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)";
        let targets = process::ask(packages::apt_get().args(["indextargets", "--format", fields]))?;
        let Some(archive) = archive(&targets) else {
            bail!("no source of this machine's apt is Debian's archive (`apt-get indextargets` lists them)");
        };
        for part in ["lists/partial", "cache/archives/partial", "sources"] {
            let part = folder.join(part);
            fs::create_dir_all(&part).with_context(|| format!("Making {}", part.display()))?;
        }
        let write = |name: &str, text: &str| {
            let file = folder.join(name);
            fs::write(&file, text).with_context(|| format!("Writing {}", file.display()))
        };
        // An empty status file is a machine with nothing installed: what is asked for comes with all
        // that it needs.
        write("status", "")?;
        write("sources/debian.sources", &source(archive, suites, keyring))?;
        write("apt.conf", &configuration(folder))?;
        Ok(Self { configuration: folder.join("apt.conf") })
    }

    /// Refreshes the lists of packages. A source that cannot be reached is an error.
    pub fn update(&self) -> anyhow::Result<()> {
        process::ask(self.get().args(["update", "--error-on=any"]))
            .context("Refreshing the package lists")?;
        Ok(())
    }

    /// The packages whose name matches a pattern.
    pub fn names(&self, pattern: &str) -> anyhow::Result<Vec<String>> {
        let answer = process::ask(self.cache().args(["search", "--names-only", pattern]))?;
        let name = |line: &str| line.split_once(" - ").map(|(name, _)| name.to_owned());
        Ok(answer.lines().filter_map(name).collect())
    }

    /// Packages and all that they need, preferring a suite, as `name=version`.
    pub fn closure(&self, suite: &str, names: &[&str]) -> anyhow::Result<Vec<String>> {
        let plan = process::ask(
            self.get()
                .args(["install", "--simulate", "--no-install-recommends", "--target-release", suite])
                .args(names),
        )?;
        Ok(packages::parse_plan(&plan))
    }

    /// Downloads packages into a folder, which must be there. Their sums are apt's to check.
    pub fn download(&self, packages: &[String], folder: &Path) -> anyhow::Result<()> {
        process::ask(self.get().arg("download").args(packages).current_dir(folder))?;
        Ok(())
    }

    fn get(&self) -> Command {
        let mut command = packages::apt_get();
        command.arg("--config-file").arg(&self.configuration);
        command
    }

    fn cache(&self) -> Command {
        let mut command = packages::apt_cache();
        command.arg("--config-file").arg(&self.configuration);
        command
    }
}

/// The address of Debian's main archive among the sources of this machine.
fn archive(targets: &str) -> Option<&str> {
    targets.lines().find_map(|line| {
        let mut fields = line.splitn(4, '|');
        let is_main =
            fields.next()? == "Packages" && RELEASES.contains(&fields.next()?) && fields.next()? == "main";
        fields.next().filter(|_| is_main)
    })
}

fn source(archive: &str, suites: &[&str], keyring: &str) -> String {
    format!(
        "Types: deb\nURIs: {archive}\nSuites: {}\nComponents: main\nArchitectures: amd64\nSigned-By: {keyring}\n",
        suites.join(" ")
    )
}

/// What is read after the system's configuration, and so overrides it.
fn configuration(folder: &Path) -> String {
    let mut text = String::new();
    for (key, part) in [
        ("Dir::State::lists", "lists"),
        ("Dir::State::status", "status"),
        ("Dir::State::extended_states", "extended_states"),
        ("Dir::Cache", "cache"),
        ("Dir::Etc::SourceParts", "sources"),
    ] {
        let _ = writeln!(text, "{key} \"{}\";", folder.join(part).display());
    }
    // No preferences and hooks of the system's: they are about its own packages.
    text.push_str(
        r#"Dir::Etc::SourceList "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
#clear APT::Architectures;
APT::Architecture "amd64";
APT::Architectures "amd64";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Update::Pre-Invoke;
APT::Default-Release "";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
"#,
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_debian_s_main_one() {
        let targets = "Packages|nodistro|main|https://other.example/\n\
                       Packages|bookworm-security|main|http://mirror.example/debian-security/\n\
                       DEP-11|bookworm|main|http://mirror.example/wrong/\n\
                       Packages|bookworm|contrib|http://mirror.example/wrong/\n\
                       Packages|bookworm|main|http://mirror.example/debian/\n";

        assert_eq!(archive(targets), Some("http://mirror.example/debian/"));
        assert_eq!(archive("Packages|noble|main|http://mirror.example/ubuntu/\n"), None);
    }
}
