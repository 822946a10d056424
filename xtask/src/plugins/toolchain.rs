//! A way to compile for `wasm32-unknown-unknown`, wherever its standard library comes from.
//!
//! A machine that has the target installed needs nothing of this. Not every machine has it, and not
//! every one can fetch it the usual way, so there are four routes, tried in order. The first that
//! leads somewhere is taken; when none does, the error tells what each of them met.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use super::linker::Linker;
use super::{debian, rust_src};
use crate::cargo::Workspace;
use crate::{interrupt, process};

/// What plugins are compiled for: a target without an operating system, so that a component imports
/// our interfaces and nothing else.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// How long `rustup` may take.
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// Where to take the standard library for WebAssembly from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Choice {
    /// The first of the others that works, in their order here
    #[default]
    Auto,
    /// The toolchain in use, as it is
    Installed,
    /// The toolchain in use, after `rustup target add`
    Rustup,
    /// Debian's rustc-web and rust-web-src, unpacked into a cache folder; std is compiled once
    Debian,
    /// The toolchain in use, with its own sources; std is compiled once
    RustSrc,
}

/// A way that works.
#[derive(Debug)]
pub struct Toolchain {
    std: Std,
    linker: Linker,
}

/// Where a route takes the standard library from.
#[derive(Debug, Default)]
pub struct Std {
    /// What is used, for people.
    pub name: String,
    /// The compiler, where it is not the one in use.
    pub rustc: Option<PathBuf>,
    /// Where the compiler's own libraries are, where the system would not find them.
    pub libraries: Option<PathBuf>,
    /// The sources of the standard library, where it must be compiled.
    pub sources: Option<PathBuf>,
    /// A folder of its own below cargo's target folder. Two compilers in one would displace each
    /// other's work.
    pub target: Option<&'static str>,
}

/// The compiler in use.
#[derive(Debug)]
pub struct Compiler {
    /// Its sysroot.
    pub sysroot: PathBuf,
    /// The machine it runs on, as a target triple.
    pub host: String,
    /// Its version, as `1.95.0`.
    pub release: String,
}

/// One route: its name for people, and what tries it.
type Route = (Choice, &'static str, fn(&Compiler, &Workspace) -> anyhow::Result<Std>);

const ROUTES: &[Route] = &[
    (Choice::Installed, "installed", |compiler, _| installed(compiler)),
    (Choice::Rustup, "rustup", |compiler, _| rustup(compiler)),
    (Choice::Debian, "debian", debian::prepare),
    (Choice::RustSrc, "rust-src", |compiler, _| rust_src::prepare(compiler)),
];

impl Toolchain {
    /// Takes the first route that leads somewhere, or the chosen one.
    pub fn find(choice: Choice, workspace: &Workspace) -> anyhow::Result<Self> {
        let compiler = Compiler::find()?;
        let linker = Linker::find(&compiler.sysroot, &compiler.host)?;
        let mut met = String::new();
        for (route, name, prepare) in ROUTES {
            if choice != Choice::Auto && choice != *route {
                continue;
            }
            match prepare(&compiler, workspace) {
                Ok(std) => return Ok(Self { std, linker }),
                Err(error) => met.push_str(&format!("\n  {name:<10} {error:#}")),
            }
            interrupt::check()?;
        }
        bail!(
            "Plugins need Rust's standard library for {TARGET}, and no way to it was found:{met}\n\
             Run `rustup target add {TARGET}`, or give this machine access to one of the above."
        )
    }

    /// What is used, for people.
    pub fn name(&self) -> &str {
        &self.std.name
    }

    /// The cargo command that builds for WebAssembly; what to build is still to be added.
    pub fn command(&self, workspace: &Workspace) -> Command {
        let mut command = workspace.cargo();
        command.args(["build", "--quiet", "--target", TARGET]);
        command.arg("--target-dir").arg(self.target(workspace));
        // One variable that displaces all others which carry flags: those would be for the host, and
        // cargo takes only one of them. Its separator allows for spaces in paths.
        command.env("CARGO_ENCODED_RUSTFLAGS", self.flags().join(OsStr::new("\x1f")));
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &self.linker.component);
        if let Some(rustc) = &self.std.rustc {
            command.env("RUSTC", rustc);
        }
        if let Some(libraries) = &self.std.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        if let Some(sources) = &self.std.sources {
            // `build-std` is not stable, and the second variable is cargo's own tests' way to say
            // where the sources are. Both are for these builds alone.
            command.env("RUSTC_BOOTSTRAP", "1").env("__CARGO_TESTS_ONLY_SRC_ROOT", sources);
            command.arg("-Zbuild-std=std,panic_abort");
        }
        command
    }

    /// Where cargo builds for WebAssembly.
    pub fn target(&self, workspace: &Workspace) -> PathBuf {
        match self.std.target {
            Some(folder) => workspace.target.join(folder),
            None => workspace.target.clone(),
        }
    }

    fn flags(&self) -> Vec<OsString> {
        let mut flags = vec![
            joined("-Clink-arg=--wasm-ld-path=", &self.linker.module, ""),
            // What converts text and pictures does many bytes at once. Every engine that runs components has it.
            "-Ctarget-feature=+simd128".into(),
        ];
        // A component is the same wherever it was built, and names no folder of the builder's.
        if let Some(home) = cargo_home() {
            flags.push(joined("--remap-path-prefix=", &home, "=cargo"));
        }
        if let Some(sources) = &self.std.sources {
            flags.push(joined("--remap-path-prefix=", sources, "=std"));
        }
        flags
    }
}

impl Compiler {
    fn find() -> anyhow::Result<Self> {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let sysroot = process::ask(Command::new(&rustc).args(["--print", "sysroot"]))?;
        let description = process::ask(Command::new(&rustc).arg("-vV"))?;
        let field = |name: &str| {
            field(&description, name)
                .with_context(|| format!("`rustc -vV` names no {name}"))
                .map(str::to_owned)
        };
        Ok(Self {
            sysroot: PathBuf::from(sysroot.trim_end()),
            host: field("host")?,
            release: field("release")?,
        })
    }
}

/// A line `name: value` of `rustc -vV`.
fn field<'a>(description: &'a str, name: &str) -> Option<&'a str> {
    description.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// Route 1: it is there.
fn installed(compiler: &Compiler) -> anyhow::Result<Std> {
    let folder = compiler.sysroot.join("lib/rustlib").join(TARGET).join("lib");
    if !holds_std(&folder) {
        bail!("{} holds no libstd-*.rlib", folder.display());
    }
    Ok(Std { name: "installed target".to_owned(), ..Std::default() })
}

/// Route 2: rustup fetches it.
fn rustup(compiler: &Compiler) -> anyhow::Result<Std> {
    if process::find("rustup").is_none() {
        bail!("there is no rustup here");
    }
    println!("      rustup target add {TARGET}");
    let mut command = Command::new("rustup");
    let (succeeded, text) = process::run_within(command.args(["target", "add", TARGET]), RUSTUP_LIMIT)?;
    if !succeeded {
        bail!("`{}` failed: {}", process::line(&command), process::reason(&text));
    }
    // The toolchain in use need not be the one that rustup added to.
    let std = installed(compiler).context("rustup added the target elsewhere")?;
    Ok(Std { name: "target added by rustup".to_owned(), ..std })
}

/// Whether a folder holds a compiled standard library.
pub fn holds_std(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .any(|name| name.starts_with("libstd-") && name.ends_with(".rlib"))
}

/// A cache folder of ours that outlives a clone.
pub fn cache() -> anyhow::Result<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let base = absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME says where a cache may be")?;
    Ok(base.join("bellhop/toolchain"))
}

fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))
}

fn joined(before: &str, path: &Path, after: &str) -> OsString {
    let mut flag = OsString::from(before);
    flag.push(path);
    flag.push(after);
    flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let description = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\n\
                           host: x86_64-unknown-linux-gnu\nrelease: 1.95.0\n";

        assert_eq!(field(description, "host"), Some("x86_64-unknown-linux-gnu"));
        assert_eq!(field(description, "release"), Some("1.95.0"));
        assert_eq!(field(description, "rel"), None);
    }

    #[test]
    fn every_choice_but_auto_is_a_route() {
        let routes: Vec<Choice> = ROUTES.iter().map(|(choice, ..)| *choice).collect();
        let choices: Vec<Choice> =
            Choice::value_variants().iter().copied().filter(|c| *c != Choice::Auto).collect();

        assert_eq!(routes, choices);
    }

    #[test]
    fn flags_of_a_compiled_std_name_no_folder_of_the_builder() {
        let toolchain = Toolchain {
            std: Std { sources: Some(PathBuf::from("/cache/library")), ..Std::default() },
            linker: Linker { component: "/a/wcl".into(), module: "/a b/wasm-ld".into() },
        };

        let flags = toolchain.flags();

        assert_eq!(flags.first().unwrap(), "-Clink-arg=--wasm-ld-path=/a b/wasm-ld");
        assert_eq!(flags.last().unwrap(), "--remap-path-prefix=/cache/library=std");
    }
}
