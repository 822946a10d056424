//! `cargo xtask vm setup`: QEMU, kernels and busybox, unpacked into a cache folder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Args;
use vm::kit::{self, CONTENTS, Contents, PACKED, UNPACKED};
use vm::{Kernel, Kit};

use super::apt::Apt;
use super::image;
use crate::{cargo, interrupt, process, say};

/// Bring QEMU and kernels into a cache folder
///
/// They come as Debian's packages, from where this machine's apt gets its own, and are unpacked below
/// ~/.cache/bellhop/vm. Nothing is installed. What is there already is only checked.
#[derive(Args)]
pub struct Options {
    /// Bring everything anew, in the versions of today
    #[arg(long)]
    pub renew: bool,
}

/// The releases that we take packages of.
pub const SUITES: [&str; 3] = ["bookworm", "trixie", "trixie-backports"];

/// The suite of QEMU: the first that has the vfio-user client.
const QEMU_SUITE: &str = "trixie-backports";

/// The first QEMU that can attach a device over vfio-user.
const QEMU_MINIMUM: (u32, u32) = (10, 1);

/// The series of kernels that are wanted, besides the newest of all.
const SERIES: [&str; 2] = ["6.1", "6.12"];

/// Kernel packages: the plain ones for 64-bit PCs.
const KERNELS: &str = "^linux-image-[0-9][^-]*(-[0-9]+)?-amd64$";

/// The sums of all that was unpacked.
const SUMS: &str = "SHA256SUMS";

/// Brings a kit, or checks the one that is there.
pub fn run(renew: bool) -> anyhow::Result<Kit> {
    let folder = Kit::folder()?;
    let _lock = lock(&folder)?;
    match Kit::open(&folder) {
        Ok(kit) if !renew => check(kit, &folder),
        _ => bring(&folder),
    }
}

/// Keeps others from setting up what is in a folder, for as long as the file is open.
pub fn lock(folder: &Path) -> anyhow::Result<File> {
    fs::create_dir_all(folder).with_context(|| format!("Making {}", folder.display()))?;
    let lock = folder.join("lock");
    let lock = File::create(&lock).with_context(|| format!("Making {}", lock.display()))?;
    lock.lock().context("Waiting for another setup to end")?;
    Ok(lock)
}

/// Writes down the sums of all files in some folders of a folder.
pub fn sum(folder: &Path, names: &str) -> anyhow::Result<()> {
    let sums = File::create(folder.join(SUMS)).context("Making the file of sums")?;
    let names = format!("find {names} -type f -print0 | sort -z | xargs -0 sha256sum");
    process::run(Command::new("sh").args(["-ec", &names]).current_dir(folder).stdout(sums))
}

/// Holds what is in a folder against its sums.
pub fn check_sums(folder: &Path, command: &str) -> anyhow::Result<()> {
    process::ask(
        Command::new("sha256sum").args(["--check", "--quiet", "--strict", SUMS]).current_dir(folder),
    )
    .with_context(|| {
        format!("{} is not what was unpacked; run `cargo xtask vm {command} --renew`", folder.display())
    })?;
    Ok(())
}

/// Holds a kit against its sums.
fn check(kit: Kit, folder: &Path) -> anyhow::Result<Kit> {
    let started = Instant::now();
    check_sums(folder, "setup")?;
    for kernel in kit.kernels() {
        if !kit::kernel_folder(folder, kernel).join(UNPACKED).is_file() && unpack(folder, kernel)? {
            sum(folder, "qemu kernels")?;
        }
    }
    println!(
        "{}: {}; sums agree, {}",
        folder.display(),
        describe(kit.contents()),
        say::duration(started.elapsed())
    );
    Ok(kit)
}

fn bring(folder: &Path) -> anyhow::Result<Kit> {
    if std::env::consts::ARCH != "x86_64" {
        bail!("the machines are of the architecture x86_64, and so must this one be");
    }
    for old in [CONTENTS, SUMS, "qemu", "kernels", "archives"].map(|name| folder.join(name)) {
        let removed = if old.is_dir() { fs::remove_dir_all(&old) } else { fs::remove_file(&old) };
        if old.exists() {
            removed.with_context(|| format!("Removing {}", old.display()))?;
        }
    }
    let apt = Apt::prepare(&folder.join("apt"), &SUITES)?;

    let started = Instant::now();
    println!("[1] package lists of {}", SUITES.join(", "));
    apt.update()?;
    let kernels = choose(&apt.names(KERNELS)?)?;
    println!("    {}", say::duration(started.elapsed()));

    let qemu = bring_qemu(&apt, folder)?;
    for (index, kernel) in kernels.iter().enumerate() {
        println!("[{}] kernel {}", index + 3, kernel.0);
        bring_kernel(&apt, folder, kernel)?;
    }

    println!("[{}] sums", kernels.len() + 3);
    sum(folder, "qemu kernels")?;
    let kit = Kit::close(folder, Contents { qemu, kernels })?;
    println!("{}: {}", folder.display(), describe(kit.contents()));
    Ok(kit)
}

fn bring_qemu(apt: &Apt, folder: &Path) -> anyhow::Result<String> {
    let packages = apt.closure(QEMU_SUITE, &["qemu-system-x86", "busybox-static"])?;
    let version = packages
        .iter()
        .find_map(|package| package.strip_prefix("qemu-system-x86="))
        .with_context(|| format!("{QEMU_SUITE} offers no qemu-system-x86"))?;
    let (_, version) = version.split_once(':').unwrap_or(("", version));
    if cargo::version(version).is_none_or(|found| found < QEMU_MINIMUM) {
        let (major, minor) = QEMU_MINIMUM;
        bail!("{QEMU_SUITE} offers QEMU {version}, and {major}.{minor} is the first with vfio-user");
    }
    println!("[2] QEMU {version}, its libraries and busybox: {}", say::count(packages.len(), "package"));
    let tree = kit::qemu_tree(folder);
    fetch(apt, folder, &packages, |archive| {
        process::ask(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(&tree)).map(drop)
    })?;
    if !kit::busybox(folder).is_file() {
        bail!("busybox-static did not bring {}", kit::busybox(folder).display());
    }
    Ok(version.to_owned())
}

/// A kernel's packages are large, and two files of them are wanted.
fn bring_kernel(apt: &Apt, folder: &Path, kernel: &Kernel) -> anyhow::Result<()> {
    let Kernel(release) = kernel;
    // Newer kernels are split: the image package then only needs the two others.
    let parts = format!("^linux-(image|binary|modules)-{}$", release.replace('.', "\\.").replace('+', "\\+"));
    let place = kit::kernel_folder(folder, kernel);
    fs::create_dir_all(&place).with_context(|| format!("Making {}", place.display()))?;
    fetch(apt, folder, &apt.names(&parts)?, |archive| extract(archive, &place))?;

    let module = place.join("vboxguest.ko");
    let packed = place.join("vboxguest.ko.xz");
    if packed.is_file() {
        let plain = File::create(&module).with_context(|| format!("Making {}", module.display()))?;
        let mut unpack = Command::new(kit::busybox(folder));
        process::run(unpack.arg("xzcat").arg(&packed).stdout(plain))?;
        fs::remove_file(&packed).with_context(|| format!("Removing {}", packed.display()))?;
    }
    for file in [module, place.join(PACKED)] {
        if !file.is_file() {
            bail!("the packages of kernel {release} did not bring {}", file.display());
        }
    }
    unpack(folder, kernel).map(drop)
}

/// Unpacks a kernel's image, if that can be done: else each machine does it again.
fn unpack(folder: &Path, kernel: &Kernel) -> anyhow::Result<bool> {
    let place = kit::kernel_folder(folder, kernel);
    let outcome = image::unpack(&place.join(PACKED), &place.join(UNPACKED));
    interrupt::check()?;
    if let Err(error) = &outcome {
        println!("    Kernel {} is unpacked by each machine itself: {error:#}", kernel.0);
    }
    Ok(outcome.is_ok())
}

/// Takes the image and the module out of a kernel's package.
fn extract(archive: &Path, place: &Path) -> anyhow::Result<()> {
    let mut source = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(archive)
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("Opening {}", archive.display()))?;
    let stream = source.stdout.take().context("A pipe is missing")?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--wildcards", "--transform", "s|.*/||", "--transform", "s|^vmlinuz-.*|vmlinuz|"])
        .args(["--no-anchored", "vmlinuz*", "vboxguest.ko*"])
        .current_dir(place)
        .stdin(stream)
        .stderr(Stdio::null());
    // A package that holds only one of the two makes tar complain: what is missing in the end is
    // looked for by the caller.
    let _ = tar.status().context("Starting `tar`")?;
    let status = source.wait().context("Waiting for `dpkg-deb`")?;
    interrupt::check()?;
    if !status.success() {
        bail!("{} cannot be read: `dpkg-deb` ended with {}", archive.display(), process::describe(status));
    }
    Ok(())
}

/// Downloads packages, hands each to `unpack`, and says how much it was and how long it took.
pub fn fetch(
    apt: &Apt,
    folder: &Path,
    packages: &[String],
    unpack: impl Fn(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let place = folder.join("archives");
    fs::create_dir_all(&place).with_context(|| format!("Making {}", place.display()))?;
    apt.download(packages, &place)?;
    let fetched = Instant::now();
    let mut size = 0;
    for entry in fs::read_dir(&place).with_context(|| format!("Reading {}", place.display()))? {
        let archive = entry?.path();
        size += fs::metadata(&archive).map_or(0, |file| file.len());
        unpack(&archive)?;
    }
    fs::remove_dir_all(&place).with_context(|| format!("Removing {}", place.display()))?;
    println!(
        "    {} downloaded, {}; unpacked, {}",
        say::size(size),
        say::duration(fetched - started),
        say::duration(fetched.elapsed())
    );
    Ok(())
}

/// The newest kernel of each series, and the newest of all; the oldest first.
fn choose(packages: &[String]) -> anyhow::Result<Vec<Kernel>> {
    let releases: BTreeMap<Vec<u32>, Kernel> = packages
        .iter()
        .filter_map(|package| package.strip_prefix("linux-image-"))
        .map(|release| (numbers(release), Kernel(release.to_owned())))
        .collect();
    let newest_of = |series: &str| releases.iter().rfind(|(_, kernel)| kernel.series() == series);
    let mut chosen = BTreeMap::new();
    for series in SERIES {
        let (version, kernel) = newest_of(series)
            .with_context(|| format!("{} offer no kernel of the series {series}", SUITES.join(", ")))?;
        chosen.insert(version, kernel);
    }
    chosen.extend(releases.last_key_value());
    Ok(chosen.into_values().cloned().collect())
}

/// The numbers in a release, by which releases are ordered.
fn numbers(release: &str) -> Vec<u32> {
    release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

fn describe(contents: &Contents) -> String {
    let kernels: Vec<&str> = contents.kernels.iter().map(|kernel| kernel.0.as_str()).collect();
    format!("QEMU {}, kernels {}", contents.qemu, kernels.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(releases: &[&str]) -> Vec<String> {
        releases.iter().map(|release| format!("linux-image-{release}")).collect()
    }

    #[test]
    fn the_newest_of_each_series_and_of_all_is_chosen() {
        let offered = names(&[
            "7.3.4+deb13-amd64",
            "6.1.0-9-amd64",
            "6.1.0-50-amd64",
            "6.12.94+deb13-amd64",
            "6.12.107+deb13-amd64",
            "6.19.14+deb13-amd64",
        ]);

        let chosen: Vec<String> = choose(&offered).unwrap().into_iter().map(|Kernel(k)| k).collect();

        assert_eq!(chosen, ["6.1.0-50-amd64", "6.12.107+deb13-amd64", "7.3.4+deb13-amd64"]);
    }

    #[test]
    fn a_series_that_nobody_offers_is_named() {
        let error = choose(&names(&["6.1.0-50-amd64"])).unwrap_err().to_string();

        assert!(error.ends_with("no kernel of the series 6.12"), "{error}");
    }
}
