//! What a test is given.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::Context as _;

use crate::configure::Configure;
use crate::kit::{Kernel, Kit};
use crate::programs::Programs;

/// What a test is given: the parts of machines, and a place for what they log.
#[derive(Debug)]
pub struct Context {
    pub(crate) kit: Kit,
    pub(crate) kernel: Kernel,
    pub(crate) programs: Programs,
    folder: PathBuf,
}

impl Context {
    /// The context of one test on one kernel.
    ///
    /// # Errors
    /// When there is no place for logs.
    pub fn new(test: &str, kit: Kit, kernel: Kernel, programs: Programs) -> anyhow::Result<Self> {
        let program = env::current_exe().context("A test knows its own path")?;
        let target = program.ancestors().nth(3).unwrap_or(Path::new("."));
        let folder = target.join("vm").join(test.replace("::", "-"));
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("Removing {}", folder.display()))?;
        }
        Ok(Self { kit, kernel, programs, folder })
    }

    /// A context outside any test, whose logs go below `folder`.
    #[must_use]
    pub fn in_folder(folder: PathBuf, kit: Kit, kernel: Kernel, programs: Programs) -> Self {
        Self { kit, kernel, programs, folder }
    }

    /// The kernel of the guests.
    #[must_use]
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Starts to configure a machine.
    #[must_use]
    pub fn machine(&self) -> Configure<'_> {
        Configure::new(self)
    }

    /// Runs a test in this context. What it logged is kept when it fails, and the error says where.
    ///
    /// # Errors
    /// Those of the test.
    pub fn judge(&self, test: impl FnOnce(&Self) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let outcome = test(self);
        match &outcome {
            Ok(()) => drop(fs::remove_dir_all(&self.folder)),
            Err(_) if !self.folder.exists() => {}
            Err(_) => {
                return outcome.with_context(|| {
                    let last = last_words(&self.folder.join("1/serial.log"));
                    format!("logs are in {}; the kernel's ends with {last}", self.folder.display())
                });
            }
        }
        outcome
    }

    /// A folder for the logs of the next machine: they are numbered.
    pub(crate) fn logs(&self) -> anyhow::Result<PathBuf> {
        let folders = (1..).map(|number: u32| self.folder.join(number.to_string()));
        let folder = folders.into_iter().find(|folder| !folder.exists()).context("Too many machines")?;
        fs::create_dir_all(&folder).with_context(|| format!("Making {}", folder.display()))?;
        Ok(folder)
    }
}

/// The last line of a log that says something.
pub(crate) fn last_words(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    line.map_or_else(|| "nothing".to_owned(), |line| format!("{line:?}"))
}
