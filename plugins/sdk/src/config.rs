//! A plugin's configuration: from the agent's JSON to the plugin's own type.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The configuration of a plugin that has none; anything in it is an error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Reads a configuration. The error names the field, what was found and what was expected.
pub(crate) fn parse<C: DeserializeOwned>(text: &str) -> Result<C, String> {
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.into_inner().to_string();
        // The administrator wrote TOML, and never saw the JSON that has these lines.
        let reason = reason.rsplit_once(" at line ").map_or(&*reason, |(reason, _)| reason);
        match &*path {
            "." => format!("Configuration: {reason}"),
            path => format!("Configuration field `{path}`: {reason}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    struct Config {
        poll_seconds: u32,
        #[serde(default)]
        names: Vec<String>,
        #[serde(default)]
        screen: Option<Screen>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Screen {
        size: [u32; 2],
    }

    #[test]
    fn a_configuration_is_read() {
        let text = r#"{"poll-seconds": 3, "names": ["a"], "screen": {"size": [1, 2]}}"#;
        let config =
            Config { poll_seconds: 3, names: vec!["a".into()], screen: Some(Screen { size: [1, 2] }) };
        assert_eq!(parse::<Config>(text), Ok(config));
        assert_eq!(parse::<NoConfig>("{}"), Ok(NoConfig {}));
    }

    #[test]
    fn an_error_names_the_field_what_was_found_and_what_was_expected() {
        let cases = [
            (r#"{"poll-seconds": "3"}"#, " field `poll-seconds`: invalid type: string \"3\", expected u32"),
            (r#"{"poll-seconds": -3}"#, " field `poll-seconds`: invalid value: integer `-3`, expected u32"),
            (
                r#"{"poll-seconds": 3, "screen": {"size": [1]}}"#,
                " field `screen.size`: invalid length 1, expected an array of length 2",
            ),
            (
                r#"{"poll-seconds": 3, "name": "a"}"#,
                " field `name`: unknown field `name`, expected one of `poll-seconds`, `names`, `screen`",
            ),
            ("{}", ": missing field `poll-seconds`"),
        ];
        for (text, expected) in cases {
            let error = parse::<Config>(text).unwrap_err();
            assert_eq!(error, format!("Configuration{expected}"), "{text}");
        }
    }
}
