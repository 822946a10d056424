//! Programs that copy and paste: none of them is ours.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use bellhop_xserver::Missing;
use libtest_mimic::Failed;

/// What of the programs is not installed.
pub fn missing() -> Option<Missing> {
    let programs = [
        ("xclip", "-version", "xclip"),
        ("xsel", "--version", "xsel"),
        ("xset", "-version", "x11-xserver-utils"),
    ];
    programs.into_iter().find_map(|(program, version, package)| {
        let tried = Command::new(program).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
        tried.is_err().then_some(Missing::Program { program, package })
    })
}

/// A program that owns a selection until it is dropped.
pub struct Copier(Child);

impl Copier {
    /// `xclip` with these arguments, which gets the content by its standard input.
    pub fn xclip(display: &str, arguments: &[&str], content: &[u8]) -> Result<Self, Failed> {
        // It would go to the background otherwise, where nobody ends it.
        Self::start(Command::new("xclip").args(["-quiet", "-i"]).args(arguments), display, content)
    }

    /// `xsel`, likewise.
    pub fn xsel(display: &str, arguments: &[&str], content: &[u8]) -> Result<Self, Failed> {
        Self::start(Command::new("xsel").args(["--nodetach", "-i"]).args(arguments), display, content)
    }

    fn start(command: &mut Command, display: &str, content: &[u8]) -> Result<Self, Failed> {
        command.env("DISPLAY", display).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut program = command.spawn()?;
        let input = program.stdin.take();
        let copier = Self(program);
        input.ok_or("no pipe to the program")?.write_all(content)?;
        Ok(copier)
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program that pastes.
pub struct Paster(Child);

impl Paster {
    pub fn xclip(display: &str, arguments: &[&str]) -> Result<Self, Failed> {
        Self::start(Command::new("xclip").args(["-selection", "clipboard", "-o"]).args(arguments), display)
    }

    pub fn xsel(display: &str, arguments: &[&str]) -> Result<Self, Failed> {
        Self::start(Command::new("xsel").arg("-o").args(arguments), display)
    }

    fn start(command: &mut Command, display: &str) -> Result<Self, Failed> {
        let command = command.env("DISPLAY", display).stdin(Stdio::null());
        Ok(Self(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?))
    }

    /// What it pasted; nothing if it could not.
    pub fn pasted(self) -> Result<Option<Vec<u8>>, Failed> {
        let output = self.0.wait_with_output()?;
        Ok(output.status.success().then_some(output.stdout))
    }
}

/// Runs `xset` with these arguments.
pub fn xset(display: &str, arguments: &[&str]) -> Result<(), Failed> {
    let done = Command::new("xset").args(["-display", display]).args(arguments).status()?;
    if done.success() { Ok(()) } else { Err(format!("xset {arguments:?}: {done}").into()) }
}
