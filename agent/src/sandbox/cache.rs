//! Compiled components on disk, so that the daemon never compiles and starts at once.

use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::compile::Compiler;
use super::engine::Target;
use super::load::{self, LoadError};
use crate::observe::values::hex;

/// So many compiled components are kept.
const MOST_FILES: usize = 64;

/// A folder of compiled components, one file each, named after the component's digest and the
/// engine's: a file that fits neither is never opened.
pub struct Cache {
    folder: PathBuf,
    engine_digest: String,
    compiler: Compiler,
}

/// A loaded component, and whether it had to be compiled for that.
pub struct Loaded {
    /// The component, ready to be instantiated.
    pub component: Component,
    /// It was not in the cache.
    pub compiled: bool,
    /// The digest of the component as it was before.
    pub sha256: String,
}

impl Cache {
    /// A cache in `folder`, which is made when it is needed.
    #[must_use]
    pub fn new(folder: PathBuf, engine: &Engine, compiler: Compiler) -> Self {
        let mut digest = DigestHasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut digest);
        let engine_digest = hex(&digest.0.finalize())[..16].to_owned();
        Self { folder, engine_digest, compiler }
    }

    /// Loads a component, compiling it first when it is not in the cache.
    ///
    /// # Errors
    /// When the folder cannot be made or is not the agent's alone, or the component cannot be compiled.
    pub fn load(&self, engine: &Engine, component: &[u8]) -> Result<Loaded> {
        self.open_folder()?;
        let sha256 = digest(component);
        let file = self.folder.join(format!("{sha256}-{}.cwasm", self.engine_digest));
        if file.exists() {
            match load::compiled(engine, &file) {
                Ok(component) => return Ok(Loaded { component, compiled: false, sha256 }),
                Err(error @ LoadError::NotExecutable(_)) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(%error, file = %file.display(), "Cached code is of no use; compiling anew");
                }
            }
        }
        let code = self.compiler.compile(component, Target::of(engine))?;
        self.store(&file, &code)?;
        let component = load::compiled(engine, &file)?;
        Ok(Loaded { component, compiled: true, sha256 })
    }

    /// Makes the folder if need be, and refuses one that somebody else could write to: what lies in
    /// it is run unchecked.
    fn open_folder(&self) -> Result<()> {
        let folder = self.folder.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .with_context(|| format!("Cannot make the cache folder {folder}"))?;
        trust(&self.folder)
    }

    fn store(&self, file: &Path, code: &[u8]) -> Result<()> {
        // Two threads may compile the same component, and none may write to what the other has mapped.
        static WRITTEN: AtomicU64 = AtomicU64::new(0);
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let partial = file.with_extension(format!("{}-{number}.partial", std::process::id()));
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)
            .and_then(|mut out| out.write_all(code))
            .and_then(|()| fs::rename(&partial, file));
        written.with_context(|| format!("Cannot write {}", file.display())).inspect_err(|_| {
            let _ = fs::remove_file(&partial);
        })?;
        self.prune();
        Ok(())
    }

    /// Removes the oldest files beyond [`MOST_FILES`]: each new version of a plugin or of Bellhop
    /// leaves the former one's behind. One that is mapped stays so until it is let go.
    fn prune(&self) {
        let age = |path: &PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "cwasm"))
            .collect();
        files.sort_by_key(age);
        let excess = files.len().saturating_sub(MOST_FILES);
        for file in files.iter().take(excess) {
            if let Err(error) = fs::remove_file(file) {
                tracing::debug!(%error, file = %file.display(), "Cannot remove old compiled code");
            }
        }
    }
}

/// Looks whether a cache's folder is this process's user's alone.
///
/// # Errors
/// When it is not there, or somebody else can write to it.
pub fn trust(folder: &Path) -> Result<()> {
    let metadata = fs::symlink_metadata(folder)
        .with_context(|| format!("Cannot look at the cache folder {}", folder.display()))?;
    let folder = folder.display();
    let user = nix::unistd::geteuid().as_raw();
    if !metadata.is_dir() {
        bail!("Cache folder {folder} is not a folder; remove it or set another `cache`");
    }
    if metadata.uid() != user {
        bail!(
            "Cache folder {folder} belongs to user {}, not to this process's user {user}; \
             compiled code is only trusted from one's own folder",
            metadata.uid()
        );
    }
    if metadata.mode() & 0o022 != 0 {
        bail!(
            "Cache folder {folder} can be written by others (mode {:o}); run `chmod go-w {folder}`",
            metadata.mode() & 0o7777
        );
    }
    Ok(())
}

/// The SHA-256 digest of a component, in hexadecimal: what `sha256 = "…"` in `agent.toml` pins.
#[must_use]
pub fn digest(component: &[u8]) -> String {
    hex(&Sha256::digest(component))
}

/// Lets `Hash` feed a digest whose result is the same in every process.
struct DigestHasher(Sha256);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        // `Hash` implementations only write.
        0
    }
}
