//! `agent.toml`: what one virtual machine's agent is to do, and what its plugins may.

mod error;
mod limits;
mod manifest;
mod process;
mod units;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

pub use error::{ConfigError, Problem};
pub use limits::Limits;
pub use manifest::{Build, MANIFEST, Manifest, Need};
pub use process::Process;
pub use units::{Bytes, Span};

use crate::grants::{Authority, GrantsTable};
use crate::sandbox::engine::Target;
pub(crate) use limits::LimitsTable;

/// Where `bellhop` looks for its configuration when it is not told.
pub const DEFAULT_PATH: &str = "/etc/bellhop/agent.toml";

/// The largest `agent.toml` that is read, in bytes.
const LARGEST_FILE: u64 = 1 << 20;

/// The whole file, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    driver: DriverChoice,
    device: Option<PathBuf>,
    #[serde(default)]
    engine: Target,
    cache: Option<PathBuf>,
    control: Option<ControlChoice>,
    #[serde(default)]
    log: LogTable,
    #[serde(default)]
    outputs: OutputsTable,
    #[serde(default)]
    process: Process,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    plugins: PluginTables,
}

/// The plugins' tables, by their names, as written.
pub(crate) type PluginTables = BTreeMap<Spanned<String>, PluginTable>;

/// Which driver services the VMMDev device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriverChoice {
    /// The best that this machine has.
    #[default]
    Auto,
    /// The kernel's, through its device node.
    Vboxguest,
    /// A device model inside the agent: for demonstrations, tests and plugin authors.
    Simulated,
}

/// Where the control socket is, as written.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected the path of a socket, or false for none")]
enum ControlChoice {
    Path(PathBuf),
    Usual(bool),
}

/// Where the control socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlSocket {
    /// There is none.
    None,
    /// Where it usually is; an agent that cannot have it does without.
    Usual,
    /// At this path.
    At(PathBuf),
}

/// How the log is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LogTable {
    /// The least important lines that are written.
    pub level: LogLevel,
    /// In which form.
    pub format: LogFormat,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// The journal when systemd started the agent, lines for people otherwise.
    #[default]
    Auto,
    /// Lines for people, on standard error.
    Human,
    /// One JSON object a line, on standard error.
    Json,
    /// The systemd journal, with fields.
    Journald,
}

/// Which desktop the `outputs` interface reaches.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct OutputsTable {
    /// The kind of desktop.
    #[serde(deserialize_with = "backend")]
    pub backend: bellhop_desktop::Backend,
}

impl Default for OutputsTable {
    fn default() -> Self {
        Self { backend: bellhop_desktop::Backend::Auto }
    }
}

fn backend<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bellhop_desktop::Backend, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse().map_err(|_| serde::de::Error::unknown_variant(&name, &["auto", "x11", "headless"]))
}

/// One plugin, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct PluginTable {
    component: Spanned<PathBuf>,
    sha256: Option<Spanned<String>>,
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default)]
    on_failure: OnFailure,
    #[serde(default)]
    grants: GrantsTable,
    #[serde(default)]
    denied: Vec<Spanned<String>>,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    config: toml::Table,
}

/// What is done about a plugin that faults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Another instance is made, after a pause; one that keeps faulting is left off.
    #[default]
    Restart,
    /// It is left off.
    Disable,
    /// The agent ends, as it does when the plugin cannot start at all.
    Exit,
}

fn yes() -> bool {
    true
}

/// An `agent.toml` that makes sense.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file itself.
    pub path: PathBuf,
    /// Which driver services the device.
    pub driver: DriverChoice,
    /// The device node of the kernel's driver; `None` for those that it usually has.
    pub device: Option<PathBuf>,
    /// What plugins are compiled for.
    pub engine: Target,
    /// Where compiled components are kept.
    pub cache: PathBuf,
    /// Where the control socket is.
    pub control: ControlSocket,
    /// The log.
    pub log: LogTable,
    /// The desktop's outputs.
    pub outputs: OutputsTable,
    /// What becomes of the process.
    pub process: Process,
    /// The plugins, by name; those that are not enabled too.
    pub plugins: Vec<Plugin>,
}

/// One plugin of an [`Config`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// Its name in the file.
    pub name: String,
    /// Its component.
    pub component: PathBuf,
    /// The digest that the component must have, in lower case.
    pub sha256: Option<String>,
    /// Whether it is to be run.
    pub enabled: bool,
    /// What is to be done when it fails.
    pub on_failure: OnFailure,
    /// What it may do.
    pub authority: Authority,
    /// What it may use.
    pub limits: Limits,
    /// What it is told, as a JSON object.
    pub config: String,
}

impl Config {
    /// Reads a file and makes sense of all of it.
    ///
    /// # Errors
    /// When the file cannot be read or is not TOML; else with everything that is wrong in it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(&read(path)?, path)
    }

    /// Makes sense of the text of a file that stands at `path`; relative paths start at its folder.
    ///
    /// # Errors
    /// With everything that is wrong in it.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text).map_err(|error| ConfigError::malformed(path, text, &error))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut found = Vec::new();
        let defaults = file.limits.over(Limits::default(), &mut found);
        let plugins = plugins(file.plugins, folder, defaults, &mut found);
        if !found.is_empty() {
            return Err(ConfigError::wrong(path, text, found));
        }
        Ok(Self {
            path: path.to_owned(),
            driver: file.driver,
            device: file.device.map(|device| folder.join(device)),
            engine: file.engine,
            cache: file.cache.map_or_else(default_cache, |cache| folder.join(cache)),
            control: match file.control {
                None | Some(ControlChoice::Usual(true)) => ControlSocket::Usual,
                Some(ControlChoice::Usual(false)) => ControlSocket::None,
                Some(ControlChoice::Path(path)) => ControlSocket::At(folder.join(path)),
            },
            log: file.log,
            outputs: file.outputs,
            process: file.process.at(folder),
            plugins,
        })
    }
}

impl Config {
    /// The keys in which another file differs, those of the plugins apart.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let keys = [
            ("driver", self.driver != other.driver),
            ("device", self.device != other.device),
            ("engine", self.engine != other.engine),
            ("cache", self.cache != other.cache),
            ("control", self.control != other.control),
            ("log", self.log != other.log),
            ("outputs", self.outputs != other.outputs),
            ("process", self.process != other.process),
        ];
        keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }
}

/// Makes sense of the plugins' tables, as far as that can be done, and adds to what was found wrong.
pub(crate) fn plugins(
    tables: PluginTables,
    folder: &Path,
    defaults: Limits,
    found: &mut Vec<Spanned<String>>,
) -> Vec<Plugin> {
    let mut plugins = Vec::new();
    for (name, table) in tables {
        match plugin(&name, table, folder, defaults) {
            Ok(plugin) => plugins.push(plugin),
            Err(problems) => found.extend(problems),
        }
    }
    plugins
}

/// Makes sense of one plugin's table, or says all that is wrong with it.
fn plugin(
    name: &Spanned<String>,
    table: PluginTable,
    folder: &Path,
    defaults: Limits,
) -> Result<Plugin, Vec<Spanned<String>>> {
    let mut problems = Vec::new();
    let mut say = |span, text| problems.push(Spanned::new(span, text));
    let component = folder.join(table.component.get_ref());
    // A plugin that is switched off need not be there.
    if table.enabled && !component.is_file() {
        let text =
            format!("no component at {} (relative paths start at this file's folder)", component.display());
        say(table.component.span(), text);
    }
    if !name.get_ref().chars().all(|c| c.is_ascii_alphanumeric() || c == '-') || name.get_ref().len() > 64 {
        say(name.span(), "a plugin's name is at most 64 letters, digits and hyphens".to_owned());
    }
    let sha256 = table.sha256.map(|pin| {
        let digest = pin.get_ref().to_ascii_lowercase();
        if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            say(pin.span(), "a SHA-256 digest is 64 hexadecimal digits, as `sha256sum` prints it".to_owned());
        }
        digest
    });
    let authority = Authority::resolve(&table.grants, &table.denied).unwrap_or_else(|misnamed| {
        problems.extend(misnamed);
        Authority::default()
    });
    let config = serde_json::to_string(&table.config).unwrap_or_else(|error| {
        problems.push(Spanned::new(name.span(), format!("its `config` cannot be written as JSON: {error}")));
        String::new()
    });
    let limits = table.limits.over(defaults, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Plugin {
        name: name.get_ref().clone(),
        component,
        sha256,
        enabled: table.enabled,
        on_failure: table.on_failure,
        authority,
        limits,
        config,
    })
}

/// Reads a text file that is not larger than `agent.toml` may be.
pub(crate) fn read(path: &Path) -> Result<String, ConfigError> {
    use std::io::Read;
    let unreadable = |error| ConfigError::Unreadable { path: path.to_owned(), error };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(unreadable(std::io::Error::other(format!("it is larger than {LARGEST_FILE} bytes"))));
    }
    String::from_utf8(bytes).map_err(|_| unreadable(std::io::Error::other("it is not UTF-8 text")))
}

/// The cache of whoever runs the agent: the one that a service manager made for it, else the machine's for
/// root, and one's own otherwise.
#[must_use]
pub fn default_cache() -> PathBuf {
    if let Some(made) = std::env::var_os("CACHE_DIRECTORY").filter(|made| !made.is_empty()) {
        return made.into();
    }
    let own = || {
        let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        base.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
    };
    match own() {
        Some(base) if !nix::unistd::geteuid().is_root() => base.join("bellhop"),
        _ => PathBuf::from("/var/cache/bellhop"),
    }
}
