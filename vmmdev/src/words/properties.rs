//! The words about guest properties.

use super::arguments::{Arguments, number};
use super::{Answer, Console, Refused};

pub(super) fn property(console: &Console, mut arguments: Arguments<'_>) -> Result<Answer, Refused> {
    match arguments.next("`set`, `get`, `delete`, `wait` or `list`")? {
        "set" => {
            let (name, value) = (arguments.next("a name")?, arguments.next("a value")?);
            let flags = if arguments.len() == 0 { "" } else { arguments.next("flags")? };
            arguments.end()?;
            console.host.set_property(name, value, flags)?;
            Ok(Answer::Done {})
        }
        "get" => {
            let name = arguments.next("a name")?;
            arguments.end()?;
            let property = console.host.property(name);
            Ok(Answer::Property(property.ok_or_else(|| Refused::NoSuchProperty(name.to_owned()))?))
        }
        "delete" => {
            let name = arguments.next("a name")?;
            arguments.end()?;
            console.host.delete_property(name)?;
            Ok(Answer::Done {})
        }
        "wait" => {
            let timeout = arguments.time_out()?.unwrap_or(super::wait::USUAL);
            let since = arguments.option("--since")?.map(number).transpose()?;
            let patterns = arguments.next("a pattern")?;
            arguments.end()?;
            Ok(Answer::Changed(console.host.wait_property(patterns, since, timeout)?))
        }
        "list" => {
            let patterns = if arguments.len() == 0 { "" } else { arguments.next("a pattern")? };
            arguments.end()?;
            Ok(Answer::Properties { properties: console.host.properties(patterns) })
        }
        other => Err(Refused::usage(format!("{other:?} is nothing that is done to properties"))),
    }
}
