//! The word that takes its time.

use std::time::Duration;

use driver_core::wire::shared_clipboard::Formats;
use driver_core::wire::{Capabilities, Events, Facility, FacilityStatus};

use super::arguments::{Arguments, named, number};
use super::table::{request_type, state_with};
use super::{Answer, Console, Refused};
use crate::report::GuestReport;

/// How long is waited when the line does not say.
pub(super) const USUAL: Duration = Duration::from_secs(10);

pub(super) fn wait(console: &Console, mut arguments: Arguments<'_>) -> Result<Answer, Refused> {
    let timeout = arguments.time_out()?.unwrap_or(USUAL);
    let since = arguments.option("--since")?;
    match arguments.next("what to wait for")? {
        "request" => {
            let request = request_type(arguments.next("a request")?)?;
            arguments.end()?;
            let since = since.map_or(Ok(0), number)?;
            let seen = console.host.wait_request(since, timeout, |seen| seen.request_type == request)?;
            Ok(Answer::Seen(seen))
        }
        _ if since.is_some() => Err(Refused::usage("--since belongs to requests")),
        "report" => {
            arguments.end()?;
            reported(console, timeout, |guest| guest.info.is_some())
        }
        "guest-capability" => {
            let name = arguments.next("a capability")?;
            let capability = named(name, "capability", Capabilities::from_name)?;
            arguments.end()?;
            reported(console, timeout, |guest| guest.capabilities.contains(capability))
        }
        "filter" => {
            let event = named(arguments.next("an event")?, "event", Events::from_name)?;
            arguments.end()?;
            reported(console, timeout, |guest| guest.filter.contains(event))
        }
        "facility" => {
            let facility = named(arguments.next("a facility")?, "facility", Facility::from_name)?;
            let status = named(arguments.next("a status")?, "status", FacilityStatus::from_name)?;
            arguments.end()?;
            reported(console, timeout, |guest| guest.facility(facility) == Some(status))
        }
        "clipboard" => {
            let wanted = named(arguments.next("a format")?, "format", Formats::from_name)?;
            arguments.end()?;
            let formats = console.host.wait_clipboard(timeout, |formats| formats.contains(wanted))?;
            Ok(Answer::Formats { formats: Some(formats.to_string()) })
        }
        other => Err(Refused::usage(format!("{other:?} cannot be waited for"))),
    }
}

fn reported(
    console: &Console,
    timeout: Duration,
    wanted: impl FnMut(&GuestReport) -> bool,
) -> Result<Answer, Refused> {
    Ok(state_with(console, console.host.wait_guest(timeout, wanted)?))
}
