//! `plugin.toml`: what a plugin is, how it is built, and what it needs. Its author writes it; what an
//! administrator takes over into `agent.toml` is the table of the same form in it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::{ConfigError, Limits, Plugin, PluginTables, plugin, read};

/// The file's name, in a plugin's folder.
pub const MANIFEST: &str = "plugin.toml";

/// The whole file, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    version: Spanned<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    build: Build,
    plugins: Spanned<PluginTables>,
}

/// How a plugin is built.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Build {
    /// Programs that must be there.
    pub needs: Vec<Need>,
    /// Commands, each a program and its arguments, run one after the other in the plugin's folder.
    pub run: Vec<Vec<String>>,
    /// What they make, relative to the plugin's folder: a component, or a module that is made into one.
    pub makes: PathBuf,
}

/// A program that a build needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Need {
    /// The program, as it is found on the search path.
    pub program: String,
    /// How to get it, for people.
    pub get: String,
}

/// A `plugin.toml` that makes sense.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The file's text.
    pub text: String,
    /// The plugin's version: three numbers, and then perhaps what comes after a hyphen.
    pub version: String,
    /// What it does, in a line.
    pub description: String,
    /// How it is built.
    pub build: Build,
    /// The plugin, as `agent.toml` would have it. Whether its component is there was not looked at.
    pub plugin: Plugin,
}

impl Manifest {
    /// Reads the manifest in a plugin's folder.
    ///
    /// # Errors
    /// When it cannot be read or is not TOML; else with everything that is wrong in it.
    pub fn load(folder: &Path) -> Result<Self, ConfigError> {
        let path = folder.join(MANIFEST);
        Self::parse(&read(&path)?, &path)
    }

    /// Makes sense of the text of a manifest that stands at `path`.
    ///
    /// # Errors
    /// With everything that is wrong in it.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let wrong = |found| ConfigError::wrong(path, text, found);
        let file: File = toml::from_str(text).map_err(|error| ConfigError::malformed(path, text, &error))?;
        let mut found = Vec::new();
        if !is_version(file.version.get_ref()) {
            found.push(Spanned::new(file.version.span(), "a version is three numbers, as 0.1.0".to_owned()));
        }
        let tables_at = file.plugins.span();
        let mut tables = file.plugins.into_inner().into_iter();
        let (Some((name, mut table)), None) = (tables.next(), tables.next()) else {
            found.push(Spanned::new(tables_at, "a manifest has the table of one plugin".to_owned()));
            return Err(wrong(found));
        };
        // The component need not be built yet.
        let enabled = std::mem::replace(&mut table.enabled, false);
        let folder = path.parent().unwrap_or(Path::new(""));
        match plugin(&name, table, folder, Limits::default()) {
            Ok(plugin) if found.is_empty() => Ok(Self {
                text: text.to_owned(),
                version: file.version.into_inner(),
                description: file.description,
                build: file.build,
                plugin: Plugin { enabled, ..plugin },
            }),
            Ok(_) => Err(wrong(found)),
            Err(problems) => {
                found.extend(problems);
                Err(wrong(found))
            }
        }
    }
}

/// Whether it is a version, which becomes part of a file's name.
fn is_version(text: &str) -> bool {
    let (numbers, rest) = text.split_once('-').map_or((text, None), |(numbers, rest)| (numbers, Some(rest)));
    let numbers: Vec<_> = numbers.split('.').collect();
    let is_plain = |rest: &str| rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
    text.len() <= 32
        && numbers.len() == 3
        && numbers.iter().all(|number| number.parse::<u32>().is_ok())
        && rest.is_none_or(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "version = \"1.2.3-beta.1\"\n[plugins.hello]\ncomponent = \"hello.wasm\"\n";

    fn parse(text: &str) -> Result<Manifest, String> {
        Manifest::parse(text, Path::new("/p/plugin.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_component_need_not_be_there_yet() {
        let manifest = parse(MINIMAL).expect("it makes sense");

        assert_eq!(manifest.version, "1.2.3-beta.1");
        assert_eq!(manifest.plugin.name, "hello");
        assert_eq!(manifest.plugin.component, Path::new("/p/hello.wasm"));
        assert!(manifest.plugin.enabled);
    }

    #[test]
    fn all_that_is_wrong_is_said_with_its_place() {
        let text = MINIMAL.replace("1.2.3", "../1").replace("hello]", "\"no name\"]");

        let said = parse(&text).expect_err("it is wrong");

        assert!(said.contains("/p/plugin.toml:1:11: a version is three numbers"), "{said}");
        assert!(said.contains("/p/plugin.toml:2:10: a plugin's name"), "{said}");
    }

    #[test]
    fn it_is_about_one_plugin() {
        let said =
            parse(&format!("{MINIMAL}[plugins.other]\ncomponent = \"other.wasm\"\n")).expect_err("two");
        assert!(said.contains("the table of one plugin"), "{said}");

        let said = parse("version = \"1.0.0\"\n").expect_err("none");
        assert!(said.contains("plugins"), "{said}");
    }

    #[test]
    fn versions_become_file_names() {
        for good in ["0.1.0", "10.20.30", "1.0.0-rc.1"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "1", "1.2", "1.2.x", "1.2.3/..", "1.2.3-a/b", "1.2.3-\u{e9}"] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
