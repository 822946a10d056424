//! Programs that the distribution may have to bring first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::process;

/// The packages of real X servers without a graphics card, and of what is shown, moved, copied, pasted and
/// photographed on them. Each with a program that proves its presence on any distribution, where it has one.
pub const X_SERVER: &[Need] = &[
    Need { package: "xserver-xorg-core", program: Some("Xorg") },
    Need { package: "xserver-xorg-video-dummy", program: None },
    Need { package: "x11-xserver-utils", program: Some("xrandr") },
    Need { package: "x11-utils", program: Some("xwininfo") },
    Need { package: "imagemagick", program: Some("import") },
    Need { package: "xterm", program: Some("xterm") },
    Need { package: "xvfb", program: Some("Xvfb") },
    Need { package: "x11-apps", program: Some("xeyes") },
    Need { package: "openbox", program: Some("openbox") },
    Need { package: "xdotool", program: Some("xdotool") },
    Need { package: "xclip", program: Some("xclip") },
    Need { package: "xsel", program: Some("xsel") },
];

/// What looks at the units of the service.
pub const SERVICE: &[Need] = &[Need { package: "systemd", program: Some("systemd-analyze") }];

/// A package that something needs.
pub struct Need {
    /// Debian's name of it.
    pub package: &'static str,
    /// A program in it.
    pub program: Option<&'static str>,
}

/// Makes packages present, and says so when that took anything. What cannot be done is said as well,
/// and is no error: what needs the packages will say by name what it could not do.
pub fn ensure(needs: &[Need]) {
    let missing = missing(needs);
    if missing.is_empty() {
        return;
    }
    let list = missing.join(" ");
    if let Err(reason) = may_install() {
        println!("Missing packages: {list}; not installed, because {reason}.");
        return;
    }
    println!("Installing packages: {list}");
    if let Err(error) = install(&missing) {
        println!("Installing packages failed: {error:#}");
    }
}

/// Refreshes the list of packages, where we may.
pub fn update() -> anyhow::Result<()> {
    process::ask(apt_get().arg("update")).context("Refreshing the list of packages")?;
    Ok(())
}

/// Downloads packages and unpacks them into a folder, which is there when it is complete, and not
/// before. Nothing is installed.
pub fn unpack(packages: &[String], root: &Path) -> anyhow::Result<()> {
    let mut partial = root.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let archives = partial.join("archives");
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("Removing {}", partial.display()))?;
    }
    fs::create_dir_all(&archives).with_context(|| format!("Making {}", archives.display()))?;
    process::ask(apt_get().arg("download").args(packages).current_dir(&archives))?;
    let entries = fs::read_dir(&archives).with_context(|| format!("Reading {}", archives.display()))?;
    for entry in entries {
        let archive = entry?.path();
        process::ask(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&partial))?;
    }
    fs::remove_dir_all(&archives).with_context(|| format!("Removing {}", archives.display()))?;
    fs::rename(&partial, root).with_context(|| format!("Making {}", root.display()))
}

/// What `apt-get install --simulate` would install, as `name=version`.
pub fn parse_plan(plan: &str) -> Vec<String> {
    let package = |line: &str| {
        let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
        let (_, after) = rest.split_once('(')?;
        Some(format!("{name}={}", after.split_whitespace().next()?))
    };
    plan.lines().filter_map(package).collect()
}

/// Why packages cannot be installed here, if so.
pub fn may_install() -> Result<(), &'static str> {
    if process::find("apt-get").is_none() {
        return Err("there is no apt-get here");
    }
    if !nix::unistd::Uid::effective().is_root() {
        return Err("only root may install packages");
    }
    Ok(())
}

/// An `apt-get` that asks nothing, and answers in English, which is what we read.
pub fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C").arg("--quiet");
    command
}

/// An `apt-cache` that answers in English.
pub fn apt_cache() -> Command {
    let mut command = Command::new("apt-cache");
    command.env("LC_ALL", "C");
    command
}

fn missing(needs: &[Need]) -> Vec<&'static str> {
    let format = "--showformat=${db:Status-Abbrev}${Package}\n";
    let installed = process::ask(Command::new("dpkg-query").args(["--show", format]));
    missing_from(&installed.unwrap_or_default(), needs, |program| process::find(program).is_some())
}

/// A package is missing when neither dpkg knows it nor its program is found.
fn missing_from(installed: &str, needs: &[Need], found: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let known = |package: &str| installed.lines().any(|line| line.strip_prefix("ii ") == Some(package));
    needs
        .iter()
        .filter(|need| !known(need.package) && !need.program.is_some_and(&found))
        .map(|need| need.package)
        .collect()
}

/// Installs, and refreshes the list of packages only when that failed: a list that is current, or
/// complete enough, saves half a minute.
fn install(packages: &[&str]) -> anyhow::Result<()> {
    let attempt =
        || process::ask(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(packages));
    if attempt().is_err() {
        update()?;
        attempt()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_present_by_dpkg_or_by_its_program() {
        let needs = [
            Need { package: "by-dpkg", program: None },
            Need { package: "by-program", program: Some("here") },
            Need { package: "removed", program: None },
            Need { package: "by-dp", program: Some("nowhere") },
        ];

        let missing = missing_from("ii by-dpkg\nrc removed\n", &needs, |program| program == "here");

        assert_eq!(missing, ["removed", "by-dp"]);
    }

    #[test]
    fn the_plan_is_what_would_be_installed_with_its_versions() {
        let plan = "Reading package lists...\n\
            Inst libllvm22 (1:22.1.8-1~deb12u1 Debian-Security:12/oldstable-security [amd64])\n\
            Inst rustc-web [1.85.0] (1.96.0+dfsg1-1 Debian-Security:12/oldstable-security [amd64])\n\
            Conf libllvm22 (1:22.1.8-1~deb12u1 Debian-Security:12/oldstable-security [amd64])\n";

        assert_eq!(parse_plan(plan), ["libllvm22=1:22.1.8-1~deb12u1", "rustc-web=1.96.0+dfsg1-1"]);
    }
}
