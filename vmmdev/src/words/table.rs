//! The table of all words, and what each one does.

use driver_core::wire::{Events, RequestType, Status, guest_property, shared_clipboard};

use super::arguments::{Arguments, bits, named, number};
use super::clipboard::clipboard;
use super::properties::property;
use super::wait::wait;
use super::{Answer, Console, Refused, Word};
use crate::faults::{Fault, HgcmFault, Times};
use crate::hgcm::HgcmService;
use crate::host::Hint;
use crate::report::GuestReport;

/// Everything that can be said to a host.
pub const WORDS: &[Word] = &[
    Word {
        name: "hint",
        arguments: "DISPLAY WIDTH HEIGHT [X Y]",
        help: "ask for a size of a display, and perhaps a place",
        run: hint,
    },
    Word { name: "off", arguments: "DISPLAY", help: "ask for a display to be switched off", run: off },
    Word { name: "seamless", arguments: "on|off", help: "ask for seamless windows", run: seamless },
    Word {
        name: "interval",
        arguments: "SECONDS",
        help: "ask for statistics at this pace; 0 for none",
        run: interval,
    },
    Word {
        name: "clipboard",
        arguments: "put [FORMAT FILE ...] | get FORMAT [FILE] [--timeout TIME] | formats | \
                    mode off|host-to-guest|guest-to-host|both",
        help: "copy files for the guest to paste, or nothing at all, or paste what it copied, as text, html, \
               png or bmp; the host's process reads and writes the files",
        run: clipboard,
    },
    Word {
        name: "property",
        arguments: "set NAME VALUE [FLAGS] | get NAME | delete NAME | list [PATTERN] | \
                    wait PATTERN [--since TIMESTAMP] [--timeout TIME]",
        help: "change or show guest properties, or wait for a change; a value in quotes may have blanks",
        run: property,
    },
    Word { name: "events", arguments: "HEX", help: "raise event bits and change nothing", run: events },
    Word { name: "force", arguments: "HEX", help: "raise event bits, wanted or not", run: force },
    Word { name: "stray", arguments: "", help: "raise the interrupt line for no reason", run: stray },
    Word { name: "reset", arguments: "", help: "reset the machine's device", run: reset },
    Word { name: "save", arguments: "", help: "save the machine's state", run: save },
    Word { name: "restore", arguments: "", help: "restore the state that was saved last", run: restore },
    Word {
        name: "inject",
        arguments: "REQUEST STATUS|ignore|twice|never|after-cancel|oversize|unterminated|babble|vanish [TIMES|always] \
                    [--function NAME]",
        help: "make the next requests of a type fail, by name or number; the latter seven, and a function \
               such as data-read, are for HGCM calls",
        run: inject,
    },
    Word {
        name: "vanish",
        arguments: "SERVICE",
        help: "make a service of HGCM go, and all its clients with it",
        run: vanish,
    },
    Word { name: "heal", arguments: "", help: "take back all that was injected", run: heal },
    Word {
        name: "state",
        arguments: "",
        help: "show what the guest reported, and its clipboard",
        run: state,
    },
    Word {
        name: "journal",
        arguments: "[--since NUMBER]",
        help: "show what the guest asked, and was told",
        run: journal,
    },
    Word { name: "counters", arguments: "", help: "show how often things happened", run: counters },
    Word {
        name: "wait",
        arguments: "report | guest-capability NAME | filter EVENT | facility NAME STATUS | \
                    clipboard FORMAT | request TYPE [--since NUMBER] [--timeout TIME]",
        help: "wait until the guest has done something; 10s when nothing else is said",
        run: wait,
    },
    Word { name: "help", arguments: "", help: "show this", run: help },
    Word { name: "quit", arguments: "", help: "end the host", run: quit },
];

fn hint(console: &Console, mut arguments: Arguments<'_>) -> Result<Answer, Refused> {
    let placed = match arguments.len() {
        3 => false,
        5 => true,
        _ => return Err(Refused::usage("3 or 5 numbers are wanted")),
    };
    let mut hint = Hint::new(arguments.number()?, arguments.number()?, arguments.number()?);
    if placed {
        hint = hint.at(arguments.number()?, arguments.number()?);
    }
    Ok(Answer::Rang { rang: console.host.set_video_mode_hint(hint)? })
}

fn off(console: &Console, mut arguments: Arguments<'_>) -> Result<Answer, Refused> {
    let display = arguments.number()?;
    arguments.end()?;
    Ok(Answer::Rang { rang: console.host.set_video_mode_hint(Hint::off(display))? })
}

fn seamless(console: &Console, mut arguments: Arguments<'_>) -> Result<Answer, Refused> {
    let on = match arguments.next("`on` or `off`")? {
        "on" => true,
        "off" => false,
        other => return Err(Refused::usage(format!("{other:?} is neither `on` nor `off`"))),
    };
    arguments.end()?;
    Ok(Answer::Rang { rang: console.host.set_seamless(on) })
}

fn interval(console: &Console, mut arguments: Arguments<'_>) -> Result<Answer, Refused> {
    let seconds = arguments.number()?;
    arguments.end()?;
    Ok(Answer::Rang { rang: console.host.set_statistics_interval(seconds) })
}

fn events(console: &Console, mut arguments: Arguments<'_>) -> Result<Answer, Refused> {
    let bits = bits(arguments.next("a hexadecimal number")?)?;
    arguments.end()?;
    console.host.raise_events(Events::from_bits_retain(bits));
    Ok(Answer::Done {})
}

fn force(console: &Console, mut arguments: Arguments<'_>) -> Result<Answer, Refused> {
    let bits = bits(arguments.next("a hexadecimal number")?)?;
    arguments.end()?;
    console.host.force_events(bits);
    Ok(Answer::Done {})
}

fn stray(console: &Console, arguments: Arguments<'_>) -> Result<Answer, Refused> {
    arguments.end()?;
    console.host.raise_stray_interrupt();
    Ok(Answer::Done {})
}

fn reset(console: &Console, arguments: Arguments<'_>) -> Result<Answer, Refused> {
    arguments.end()?;
    console.host.reset();
    Ok(Answer::Done {})
}

fn save(console: &Console, arguments: Arguments<'_>) -> Result<Answer, Refused> {
    arguments.end()?;
    *console.saved() = Some(console.host.save());
    Ok(Answer::Done {})
}

fn restore(console: &Console, arguments: Arguments<'_>) -> Result<Answer, Refused> {
    arguments.end()?;
    let saved = console.saved();
    console.host.restore(saved.as_ref().ok_or(Refused::NothingSaved)?);
    Ok(Answer::Done {})
}

/// What a host says that makes no sense: no message has this number.
const BABBLE: u64 = 999;

fn inject(console: &Console, mut arguments: Arguments<'_>) -> Result<Answer, Refused> {
    let function = arguments.option("--function")?.map(function_called).transpose()?;
    let request = request_type(arguments.next("a request")?)?;
    let hgcm = |fault| Fault::Hgcm { function, fault };
    let fault = match arguments.next("a status")? {
        "ignore" if function.is_some() => return Err(Refused::usage("a function is answered, or never")),
        "ignore" => Fault::Ignore,
        "twice" => hgcm(HgcmFault::Twice),
        "never" => hgcm(HgcmFault::Never),
        "after-cancel" => hgcm(HgcmFault::AfterCancel),
        "oversize" => hgcm(HgcmFault::Oversize),
        "unterminated" => hgcm(HgcmFault::Unterminated),
        "babble" => hgcm(HgcmFault::Babble(BABBLE)),
        "vanish" => hgcm(HgcmFault::Vanish),
        status if function.is_some() => hgcm(HgcmFault::Answer(Status(number(status)?))),
        status => Fault::Fail(Status(number(status)?)),
    };
    let times = match arguments.len() {
        0 => Times::Next(1),
        _ => match arguments.next("a number")? {
            "always" => Times::Always,
            times => Times::Next(number(times)?),
        },
    };
    arguments.end()?;
    console.host.inject(request, fault, times);
    Ok(Answer::Done {})
}

fn vanish(console: &Console, mut arguments: Arguments<'_>) -> Result<Answer, Refused> {
    let service = named(arguments.next("a service")?, "service", HgcmService::from_name)?;
    arguments.end()?;
    console.host.drop_service(service);
    Ok(Answer::Done {})
}

fn heal(console: &Console, arguments: Arguments<'_>) -> Result<Answer, Refused> {
    arguments.end()?;
    console.host.clear_faults();
    Ok(Answer::Done {})
}

fn state(console: &Console, arguments: Arguments<'_>) -> Result<Answer, Refused> {
    arguments.end()?;
    Ok(state_with(console, console.host.guest()))
}

/// What is known of a guest that reported this.
pub(super) fn state_with(console: &Console, guest: GuestReport) -> Answer {
    let host = &console.host;
    Answer::State {
        session_id: host.session_id(),
        guest: Box::new(guest),
        hgcm: host.hgcm_clients(),
        clipboard: host.clipboard(),
    }
}

fn journal(console: &Console, mut arguments: Arguments<'_>) -> Result<Answer, Refused> {
    let since = arguments.option("--since")?.map_or(Ok(0), number)?;
    arguments.end()?;
    let requests: Vec<_> = console.host.journal().into_iter().filter(|seen| seen.number >= since).collect();
    let next = requests.last().map_or_else(|| console.host.journal_position(), |seen| seen.number + 1);
    Ok(Answer::Journal { next, requests })
}

fn counters(console: &Console, arguments: Arguments<'_>) -> Result<Answer, Refused> {
    arguments.end()?;
    Ok(Answer::Counters(console.host.counters()))
}

fn help(_: &Console, arguments: Arguments<'_>) -> Result<Answer, Refused> {
    arguments.end()?;
    Ok(Answer::Help { words: WORDS.iter().map(|word| (word.usage(), word.help)).collect() })
}

fn quit(_: &Console, arguments: Arguments<'_>) -> Result<Answer, Refused> {
    arguments.end()?;
    Ok(Answer::Quit {})
}

/// A function of a service, by the name that it has on the wire. No two have the same.
fn function_called(word: &str) -> Result<(HgcmService, u32), Refused> {
    named(word, "function", |name| {
        let of_properties = guest_property::Function::from_name(name);
        let of_clipboard = shared_clipboard::Function::from_name(name);
        of_properties
            .map(|function| (HgcmService::Properties, function.0))
            .or_else(|| of_clipboard.map(|function| (HgcmService::Clipboard, function.0)))
    })
}

/// A request by its name or its number.
pub(super) fn request_type(word: &str) -> Result<RequestType, Refused> {
    match RequestType::from_name(word) {
        Some(request) => Ok(request),
        None => number(word).map(RequestType).map_err(|_| {
            Refused::usage(format!("No request is called {word:?}, and it is not a number that fits here"))
        }),
    }
}
