//! `cargo xtask vm desktop`: Debian's X server in a virtual machine, and the tests that need it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Args;
use vm::{Kit, kit};

use super::apt::Apt;
use super::{setup, test};
use crate::cargo::Workspace;
use crate::{process, say};

/// Run the tests that need a desktop in the virtual machine
///
/// Its files come as Debian's packages, like all that machines are made of, and are kept below
/// ~/.cache/bellhop/vm. Nothing is installed. Where that cannot be done, every test says that it was
/// skipped, and why.
#[derive(Args)]
// It holds the tests' options, whose type has its name, and clap would call both groups that.
#[group(skip)]
pub struct Options {
    /// Bring the desktop anew, in the versions of today
    #[arg(long)]
    renew: bool,

    #[command(flatten)]
    test: test::Options,
}

/// The release whose desktop it is. It is newer than what builds the agent, or as new: the agent runs
/// on its libraries.
const SUITE: &str = "trixie";

/// The packages that are wanted, with all that they need.
const PACKAGES: [&str; 9] = [
    "xserver-xorg-core",
    "xserver-xorg-video-dummy",
    "x11-xserver-utils",
    "xkb-data",
    "x11-xkb-utils",
    "x11-apps",
    "x11-utils",
    "xclip",
    "xdotool",
];

/// What is taken of them, each with the libraries that it is linked to: less than a tenth.
const PROGRAMS: [&str; 9] = [
    "usr/lib/xorg/Xorg",
    "usr/lib/xorg/modules/drivers/dummy_drv.so",
    "usr/bin/xkbcomp",
    "usr/bin/xrandr",
    // A window, and who looks at it and moves it.
    "usr/bin/xeyes",
    "usr/bin/xwininfo",
    "usr/bin/xdotool",
    // Who copies and pastes.
    "usr/bin/xclip",
    // What Rust's programs are linked to.
    "usr/lib/x86_64-linux-gnu/libgcc_s.so.1",
];

/// The data that is taken besides.
const DATA: &str = "usr/share/X11/xkb";

/// Where Debian has libraries on this architecture, both below `/` and below `/usr`.
const LIBRARIES: &str = "lib/x86_64-linux-gnu";

/// Runs the command.
pub fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<ExitCode> {
    test::run_with(workspace, &options.test, Some(kit::DESKTOP), || bring(options.renew))
}

/// Brings the desktop, or checks the one that is there.
fn bring(renew: bool) -> anyhow::Result<()> {
    let folder = Kit::folder()?;
    let _lock = setup::lock(&folder)?;
    let desktop = kit::desktop(&folder);
    let started = Instant::now();
    let tree = kit::desktop_tree(&desktop);
    if PROGRAMS.iter().all(|program| tree.join(program).is_file()) && !renew {
        setup::check_sums(&desktop, "desktop")?;
        println!("{}: sums agree, {}", desktop.display(), say::duration(started.elapsed()));
        return Ok(());
    }
    let partial = folder.join("desktop.partial");
    remove(&partial)?;
    let apt = Apt::prepare(&folder.join("apt"), &setup::SUITES)?;
    println!("Desktop: package lists");
    apt.update()?;
    let packages = apt.closure(SUITE, &PACKAGES)?;
    println!("Desktop: Xorg of {SUITE} and what it needs: {}", say::count(packages.len(), "package"));
    let all = partial.join("all");
    setup::fetch(&apt, &partial, &packages, |archive| {
        process::ask(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(&all)).map(drop)
    })?;
    choose(&all, &kit::desktop_tree(&partial))?;
    remove(&all)?;
    setup::sum(&partial, "tree")?;
    remove(&desktop)?;
    fs::rename(&partial, &desktop).with_context(|| format!("Making {}", desktop.display()))?;
    println!("{}: {}", desktop.display(), say::duration(started.elapsed()));
    Ok(())
}

/// Takes what a guest needs out of what was unpacked.
fn choose(all: &Path, tree: &Path) -> anyhow::Result<()> {
    for program in PROGRAMS {
        copy(&all.join(program), &tree.join(program))?;
        for library in libraries(all, &all.join(program))? {
            let name = library.file_name().context("A library has a name")?;
            // A program names its loader by its path, and everything else by its name only.
            let is_loader = name.as_encoded_bytes().starts_with(b"ld-linux");
            let place = if is_loader { "lib64" } else { LIBRARIES };
            copy(&library, &tree.join(place).join(name))?;
        }
    }
    copy_all(&all.join(DATA), &tree.join(DATA))
}

/// What a program is linked to, as the loader finds it that comes with it.
fn libraries(all: &Path, program: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut loader = Command::new(all.join("usr/lib64/ld-linux-x86-64.so.2"));
    loader.arg("--inhibit-cache").arg("--library-path").arg(all.join("usr").join(LIBRARIES));
    let text = process::ask(loader.arg("--list").arg(program))?;
    parse(&text, all).with_context(|| format!("The libraries of {}", program.display()))
}

/// Reads what the loader says. The kernel's own library is in no file.
fn parse(text: &str, all: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for line in text.lines().map(str::trim) {
        let file = line.split_once(" => ").map_or(line, |(_, file)| file);
        let file = file.rsplit_once(" (").map_or(file, |(file, _)| file);
        if file == "not found" || (file.starts_with('/') && !Path::new(file).starts_with(all)) {
            bail!("no package brings {line}");
        }
        files.extend(file.starts_with('/').then(|| PathBuf::from(file)));
    }
    Ok(files)
}

/// Copies a folder. What a link leads to becomes a file of its own.
fn copy_all(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("Reading {}", from.display()))? {
        let (from, to) = (entry?.path(), to);
        let to = to.join(from.file_name().context("An entry has a name")?);
        if from.is_dir() { copy_all(&from, &to)? } else { copy(&from, &to)? }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let parent = to.parent().context("A file is in a folder")?;
    fs::create_dir_all(parent).with_context(|| format!("Making {}", parent.display()))?;
    fs::copy(from, to).with_context(|| format!("Copying {}", from.display()))?;
    Ok(())
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("Removing {}", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_those_that_were_unpacked() {
        let all = Path::new("/all");
        let text = "\tlinux-vdso.so.1 (0x00007ffc)\n\
                    \tlibc.so.6 => /all/usr/lib/libc.so.6 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 => /all/usr/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";

        let files = parse(text, all).unwrap();

        let wanted = ["/all/usr/lib/libc.so.6", "/all/usr/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(files, wanted);
        assert!(parse("libx.so.1 => not found\n", all).is_err());
        assert!(parse("libc.so.6 => /lib/libc.so.6 (0x00007f)\n", all).is_err());
    }
}
