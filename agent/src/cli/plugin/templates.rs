//! The projects that `bellhop plugin new` begins. They are files of this repository, so that its tests
//! build them.

use clap::ValueEnum;

/// A language that there is a project for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// Rust, with the SDK beside it
    Rust,
}

/// A file's place in the project, and its text. `{{name}}` in it is the plugin's name, `{{crate}}` the same
/// as an identifier, `{{type}}` as a type's name, and `{{version}}` the agent's version.
type File = (&'static str, &'static str);

const RUST: &[File] = &[
    (".gitignore", include_str!("templates/rust/gitignore")),
    ("Cargo.toml", include_str!("templates/rust/Cargo.toml.in")),
    ("README.md", include_str!("templates/rust/README.md")),
    ("plugin.toml", include_str!("templates/rust/plugin.toml")),
    ("scenarios/greeting.toml", include_str!("templates/rust/scenarios/greeting.toml")),
    ("src/lib.rs", include_str!("templates/rust/src/lib.rs")),
    ("sdk/Cargo.toml", include_str!("templates/rust/sdk.toml")),
];

macro_rules! sdk {
    ($($file:literal),+ $(,)?) => {
        /// The SDK, as it is.
        const SDK: &[File] = &[
            $((concat!("sdk/src/", $file), include_str!(concat!("../../../../plugins/sdk/src/", $file))),)+
            ("sdk/wit/bellhop.wit", CONTRACT),
        ];
    };
}

sdk! {
    "bindings.rs", "buffers.rs", "clipboard.rs", "config.rs", "error.rs", "export.rs", "guest.rs",
    "handlers.rs", "hgcm.rs", "lib.rs", "log.rs", "properties.rs", "sets.rs", "timers.rs",
}

/// The contract.
const CONTRACT: &str = include_str!("../../../../wit/bellhop.wit");

/// All files of a project.
pub(super) fn files(language: Language, name: &str) -> Vec<(&'static str, String)> {
    let own = match language {
        Language::Rust => RUST,
    };
    let filled = own.iter().map(|(path, text)| (*path, fill(text, name)));
    let copied = match language {
        Language::Rust => SDK.iter().map(|(path, text)| (*path, (*text).to_owned())),
    };
    filled.chain(copied).collect()
}

fn fill(text: &str, name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    text.replace("{{name}}", name)
        .replace("{{crate}}", &name.replace('-', "_"))
        .replace("{{type}}", &words.collect::<String>())
        .replace("{{version}}", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use bellhop_agent::config::Manifest;

    use super::*;

    #[test]
    fn the_sdk_of_a_new_project_is_whole() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/sdk/src");
        let there: BTreeSet<_> = std::fs::read_dir(folder)
            .expect("the SDK is there")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();

        let given = SDK.iter().filter_map(|(path, _)| path.strip_prefix("sdk/src/"));

        assert_eq!(given.map(str::to_owned).collect::<BTreeSet<_>>(), there);
    }

    #[test]
    fn the_sdk_of_a_new_project_depends_on_what_ours_does() {
        let read = |path: &str| -> toml::Table {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
            toml::from_str(&std::fs::read_to_string(path).expect("a file")).expect("TOML")
        };
        let workspace = read("../Cargo.toml")["workspace"]["dependencies"].clone();
        let ours = read("../plugins/sdk/Cargo.toml")["dependencies"].clone();
        let given: toml::Table = toml::from_str(include_str!("templates/rust/sdk.toml")).expect("TOML");

        let expected: toml::Table = ours
            .as_table()
            .expect("a table")
            .keys()
            .map(|name| (name.clone(), workspace[name].clone()))
            .collect();
        assert_eq!(given["dependencies"], toml::Value::Table(expected));
    }

    #[test]
    fn what_is_filled_in_is_a_manifest_for_each_language() {
        for language in Language::value_variants() {
            let files = files(*language, "two-words");
            assert!(files.iter().all(|(path, text)| path.starts_with("sdk/") || !text.contains("{{")));
            let (_, text) = files.iter().find(|(path, _)| *path == "plugin.toml").expect("a manifest");

            let manifest = Manifest::parse(text, Path::new("plugin.toml")).expect("it makes sense");

            assert_eq!(manifest.plugin.name, "two-words");
            assert!(!manifest.build.run.is_empty());
        }
    }
}
