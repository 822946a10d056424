//! Programs without what only debuggers read: a guest would have to unpack it into its memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;

/// The programs that guests were given, each as it was when the first of them was.
#[derive(Debug, Default)]
pub struct Stripped(Mutex<BTreeMap<PathBuf, Arc<[u8]>>>);

impl Stripped {
    /// A program's content, the same for each guest, even when it is built anew meanwhile.
    pub fn read(&self, program: &Path) -> anyhow::Result<Arc<[u8]>> {
        // Who asks for one that is being stripped waits for it.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(content) = known.get(program) {
            return Ok(content.clone());
        }
        let content = strip(program)?;
        known.insert(program.to_owned(), content.clone());
        Ok(content)
    }
}

/// A machine on which programs are linked has `strip`, as a rule. Without it they are only larger.
fn strip(program: &Path) -> anyhow::Result<Arc<[u8]>> {
    let folder = tempfile::tempdir().context("Making a folder")?;
    let stripped = folder.path().join("stripped");
    let status = Command::new("strip").arg("-o").arg(&stripped).arg(program).stderr(Stdio::null()).status();
    let file = if status.is_ok_and(|status| status.success()) { &stripped } else { program };
    Ok(fs::read(file).with_context(|| format!("Reading {}", file.display()))?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_stays_what_the_first_guest_was_given() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        let stripped = Stripped::default();
        fs::write(&program, "as it was").unwrap();
        let first = stripped.read(&program).unwrap();

        fs::write(&program, "as it is").unwrap();

        assert_eq!((&*first, &*stripped.read(&program).unwrap()), (&b"as it was"[..], &b"as it was"[..]));
    }
}
