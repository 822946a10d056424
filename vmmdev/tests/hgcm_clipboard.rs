//! The service of the shared clipboard, from the protocol's tables.

mod guest;

use std::time::Duration;

use driver_core::wire::Status;
use driver_core::wire::shared_clipboard::{self as wire, Formats, Function, Message, Mode};
use guest::hgcm::{Answer, Give, Got, Made};
use guest::{Guest, SOON};
use serde_json::json;
use vmmdev::words::Console;
use vmmdev::{ClipboardError, content};

const BIT_63: u64 = 1 << 63;

/// A guest with a client of the service.
struct Client {
    guest: Guest,
    number: u32,
}

/// Connects for a user.
fn connect(guest: &Guest) -> u32 {
    let (status, number) = guest.connect_as(wire::SERVICE, 0x800E);
    assert_eq!(status, Status::SUCCESS);
    number
}

impl Client {
    /// One of a user that has not said what it can do.
    fn old() -> Self {
        let guest = Guest::frank();
        let number = connect(&guest);
        Self { guest, number }
    }

    /// One that knows contexts.
    fn new() -> Self {
        let client = Self::old();
        let answer = client.call(Function::REPORT_FEATURES, &[Give::U64(1), Give::U64(BIT_63)]);
        assert_eq!(answer.status, Status::SUCCESS);
        client
    }

    fn call(&self, function: Function, parameters: &[Give<'_>]) -> Answer {
        self.guest.call(self.number, function.0, parameters)
    }

    fn status(&self, function: Function, parameters: &[Give<'_>]) -> Status {
        self.call(function, parameters).status
    }

    fn peek(&self, slot: u32) -> Made {
        let session = self.guest.host.session_id();
        self.guest.wait(slot, self.number, Function::MESSAGE_PEEK_WAIT.0, &[Give::U64(session), Give::U32(0)])
    }

    /// The message that is there, and its two parameters.
    fn message(&self) -> (Message, u64, u32) {
        let peeked = self.call(Function::MESSAGE_PEEK_NO_WAIT, &[Give::U64(0), Give::U32(0)]);
        assert_eq!((peeked.status, peeked.u32(1)), (Status::SUCCESS, 2));
        let id = Message(peeked.u64(0) as u32);
        let first = match id {
            Message::READ_DATA_WITH_CONTEXT => Give::U64(id.0.into()),
            _ => Give::U32(id.0),
        };
        let got = self.call(Function::MESSAGE_GET, &[first, Give::U32(0)]);
        assert_eq!(got.status, Status::SUCCESS);
        let first = match &got.parameters[0] {
            Got::U32(value) => u64::from(*value),
            other => other.u64(),
        };
        (id, first, got.u32(1))
    }

    fn silent(&self) -> bool {
        self.status(Function::MESSAGE_PEEK_NO_WAIT, &[Give::U64(0), Give::U32(0)]) == Status::TRY_AGAIN
    }

    fn report(&self, formats: u32) -> Status {
        self.status(Function::REPORT_FORMATS, &[Give::U32(formats)])
    }

    fn read(&self, format: u32, room: u32) -> Answer {
        self.call(Function::DATA_READ, &[Give::U32(format), Give::Both(&[], room), Give::U32(0)])
    }

    fn write(&self, context: u64, format: u32, data: &[u8]) -> Status {
        self.status(Function::DATA_WRITE, &[Give::U64(context), Give::U32(format), Give::In(data)])
    }

    fn put(&self, contents: &[(Formats, &[u8])]) {
        let contents = contents.iter().map(|(format, bytes)| (*format, bytes.to_vec()));
        self.guest.host.clipboard_put(contents).expect("put");
    }

    /// Lets the host ask for something, and the guest answer as it likes when the message is there.
    fn asked(&self, format: Formats, act: impl FnOnce(Message, u64, u32)) -> Result<Vec<u8>, ClipboardError> {
        let peeked = self.peek(3);
        std::thread::scope(|threads| {
            let host = threads.spawn(|| self.guest.host.clipboard_get(format, SOON));
            while self.guest.answer(&peeked).is_none() {
                self.guest.bus_wait();
            }
            let (id, context, formats) = self.message();
            act(id, context, formats);
            host.join().expect("no panic")
        })
    }
}

impl Guest {
    /// Waits for an interrupt, and acknowledges it.
    fn bus_wait(&self) {
        use driver_core::pci::Bus;
        self.bus.wait_interrupt(Some(SOON));
        self.acknowledge();
    }
}

#[test]
fn features_are_told_both_ways() {
    let client = Client::old();
    for function in [Function::REPORT_FEATURES, Function::QUERY_FEATURES] {
        let answer = client.call(function, &[Give::U64(3), Give::U64(BIT_63)]);
        let features = (answer.u64(0), answer.u64(1));
        assert_eq!((answer.status, features), (Status::SUCCESS, (1, 0)), "contexts, and no files");
        for (parameters, expected) in [
            (&[Give::U64(3)][..], Status::WRONG_PARAMETER_COUNT),
            (&[Give::U64(3), Give::U64(0), Give::U64(0)], Status::WRONG_PARAMETER_COUNT),
            (&[Give::U32(3), Give::U64(BIT_63)], Status::WRONG_PARAMETER_TYPE),
            (&[Give::U64(3), Give::U32(0)], Status::WRONG_PARAMETER_TYPE),
        ] {
            assert_eq!(client.status(function, parameters), expected);
        }
    }
    let without = [Give::U64(3), Give::U64(0)];
    assert_eq!(client.status(Function::REPORT_FEATURES, &without), Status::INVALID_PARAMETER);
}

#[test]
fn chunks_are_negotiated() {
    let client = Client::new();
    for ((largest, preferred), expected) in [
        ((0, 0), (134_213_632, 65_536)),
        ((1000, 500), (1000, 1000)),
        ((1 << 20, 1), (1 << 20, 65_536)),
        ((u32::MAX, 1), (134_213_632, 65_536)),
    ] {
        let answer = client.call(Function::NEGOTIATE_CHUNK_SIZE, &[Give::U32(largest), Give::U32(preferred)]);
        assert_eq!(answer.status, Status::SUCCESS);
        assert_eq!((answer.u32(0), answer.u32(1)), expected, "{largest} {preferred}");
    }
    let negotiate = |parameters: &[Give<'_>]| client.status(Function::NEGOTIATE_CHUNK_SIZE, parameters);
    assert_eq!(negotiate(&[Give::U32(0)]), Status::WRONG_PARAMETER_COUNT);
    assert_eq!(negotiate(&[Give::U64(0), Give::U32(0)]), Status::WRONG_PARAMETER_TYPE);
}

#[test]
fn functions_that_are_dead_unknown_or_for_files_have_their_status() {
    let client = Client::new();
    for function in [0, 5, 29, 100, u32::MAX] {
        assert_eq!(client.status(Function(function), &[]), Status::NOT_IMPLEMENTED, "{function}");
    }
    for function in 11..=25 {
        assert_eq!(client.status(Function(function), &[Give::U64(0)]), Status::ACCESS_DENIED, "{function}");
    }
    assert_eq!(Client::old().status(Function::REPLY, &[]), Status::NOT_IMPLEMENTED);
}

#[test]
fn each_mode_lets_the_clipboard_go_its_way() {
    let client = Client::new();
    let host = &client.guest.host;
    for (mode, to_guest, to_host) in [
        (Mode::OFF, false, false),
        (Mode::HOST_TO_GUEST, true, false),
        (Mode::GUEST_TO_HOST, false, true),
        (Mode::BIDIRECTIONAL, true, true),
    ] {
        host.clipboard_mode(mode);
        let denied = |status: Status| status == Status::ACCESS_DENIED;
        assert_eq!(!denied(client.report(1)), to_host, "{mode}");
        assert_eq!(!denied(client.write(0, 1, b"")), to_host, "{mode}");
        assert_eq!(!denied(client.read(1, 100).status), to_guest, "{mode}");
        let put = host.clipboard_put([(Formats::TEXT, content::text("x"))]);
        assert_eq!(put.is_ok(), to_guest, "{mode}");
        let got = host.clipboard_get(Formats::TEXT, Duration::ZERO);
        assert_eq!(!matches!(got, Err(ClipboardError::WrongWay { .. })), to_host, "{mode}");
    }
}

#[test]
fn what_the_host_copies_is_announced_and_served() {
    let client = Client::new();
    let peeked = client.peek(2);
    assert!(client.guest.answer(&peeked).is_none());
    let text = content::text("one\ntwo");

    client.put(&[(Formats::TEXT, &text), (Formats::HTML, b"<b>x</b>\0")]);

    let answer = client.guest.answer(&peeked).expect("answered");
    assert_eq!((answer.status, answer.u64(0), answer.u32(1)), (Status::SUCCESS, 3, 2));
    assert_eq!(client.message(), (Message::FORMATS_REPORT, 3, 5));
    let answer = client.read(1, 100);
    assert_eq!((answer.status, answer.u32(2)), (Status::SUCCESS, text.len() as u32));
    assert_eq!(answer.bytes(1, answer.u32(2)), text);
    let answer = client.read(4, 100);
    assert_eq!(answer.bytes(1, answer.u32(2)), b"<b>x</b>\0");
    assert_eq!(client.read(2, 100).status, Status::CLIPBOARD_NO_DATA);
}

#[test]
fn data_that_does_not_fit_or_just_fits_is_an_overflow() {
    let client = Client::new();
    client.put(&[(Formats::HTML, b"12345678")]);
    for (room, status, sent) in [(0, 41, false), (7, 41, false), (8, 41, true), (9, 0, true)] {
        let answer = client.read(4, room);
        assert_eq!((answer.status, answer.u32(2)), (Status(status), 8), "{room}");
        let bytes = answer.parameters[1].bytes();
        assert_eq!(bytes.starts_with(b"12345678"), sent, "{room}");
    }
}

#[test]
fn reading_wants_its_parameters_and_one_format() {
    let client = Client::new();
    client.put(&[(Formats::TEXT, b"x\0\0\0")]);
    let (format, data, size) = (Give::U32(1), Give::Out(100), Give::U32(0));
    for (parameters, expected) in [
        (&[format, data][..], Status::WRONG_PARAMETER_COUNT),
        (&[format, data, size, size], Status::WRONG_PARAMETER_COUNT),
        (&[Give::U64(1), data, size], Status::WRONG_PARAMETER_TYPE),
        (&[format, size, size], Status::WRONG_PARAMETER_TYPE),
        (&[format, data, Give::U64(0)], Status::WRONG_PARAMETER_TYPE),
        (&[Give::U32(0), data, size], Status::INVALID_PARAMETER),
        (&[Give::U32(3), data, size], Status::INVALID_PARAMETER),
        (&[Give::U32(16), data, size], Status::INVALID_PARAMETER),
        (&[Give::U32(8), data, size], Status::ACCESS_DENIED),
        (&[format, data, size], Status::SUCCESS),
    ] {
        assert_eq!(client.status(Function::DATA_READ, parameters), expected);
    }
}

#[test]
fn what_the_guest_has_is_reported_and_asked_for() {
    let client = Client::new();
    assert_eq!(client.guest.host.clipboard_formats(), None);
    assert_eq!(client.report(5), Status::SUCCESS);
    assert_eq!(client.guest.host.clipboard_formats(), Some(Formats::TEXT | Formats::HTML));

    let text = content::text("from the guest");
    let got = client.asked(Formats::TEXT, |id, context, formats| {
        assert_eq!((id, formats), (Message::READ_DATA_WITH_CONTEXT, 1));
        assert_eq!((context >> 48, context as u32), (client.number.into(), 1), "session and event");
        assert_eq!(client.write(context, 1, &text), Status::SUCCESS);
    });

    assert_eq!(got, Ok(text));
    assert_eq!(client.report(0), Status::SUCCESS);
    assert_eq!(client.guest.host.clipboard_formats(), Some(Formats::empty()));
    assert_eq!(client.report(0xDEAD), Status::SUCCESS, "unknown ones are ignored");
    assert_eq!(client.guest.host.clipboard_formats(), Some(Formats::from_bits_retain(0xD)));
}

#[test]
fn reporting_wants_one_number() {
    let client = Client::new();
    assert_eq!(client.status(Function::REPORT_FORMATS, &[]), Status::WRONG_PARAMETER_COUNT);
    assert_eq!(client.status(Function::REPORT_FORMATS, &[Give::U64(1)]), Status::WRONG_PARAMETER_TYPE);
}

#[test]
fn a_guest_that_has_nothing_sends_nothing() {
    let client = Client::new();
    let got = client.asked(Formats::BITMAP, |_, context, formats| {
        assert_eq!(client.write(context, formats, b""), Status::SUCCESS);
    });
    let status = Status::CLIPBOARD_NO_DATA;
    assert_eq!(got, Err(ClipboardError::Nothing { format: Formats::BITMAP, status }));
}

#[test]
fn writing_wants_the_context_it_was_asked_with() {
    let client = Client::new();
    let got = client.asked(Formats::TEXT, |_, context, _| {
        let (context_, format, data) = (Give::U64(context), Give::U32(1), Give::In(b"x"));
        for (parameters, expected) in [
            (&[format, data][..], Status::WRONG_PARAMETER_COUNT),
            (&[context_, format, data, data], Status::WRONG_PARAMETER_COUNT),
            (&[format, format, data], Status::WRONG_PARAMETER_TYPE),
            (&[context_, context_, data], Status::WRONG_PARAMETER_TYPE),
            (&[context_, format, format], Status::WRONG_PARAMETER_TYPE),
            (&[context_, Give::U32(3), data], Status::INVALID_PARAMETER),
            (&[context_, Give::U32(0), data], Status::INVALID_PARAMETER),
            (&[Give::U64(context ^ 1 << 48), format, data], Status::INVALID_CONTEXT),
            (&[Give::U64(context ^ 1 << 33), format, data], Status::INVALID_CONTEXT),
            // Nobody waits for this event, which is no fault of the guest's.
            (&[Give::U64(context ^ 0xF00), format, data], Status::SUCCESS),
        ] {
            assert_eq!(client.status(Function::DATA_WRITE, parameters), expected);
        }
        assert_eq!(client.write(context, 1, b"right"), Status::SUCCESS);
        assert_eq!(client.write(context, 1, b"again"), Status::SUCCESS, "and of no consequence");
    });
    assert_eq!(got, Ok(b"right".to_vec()));
}

#[test]
fn another_client_s_context_is_none() {
    let client = Client::new();
    let other = connect(&client.guest);
    let answer = client.guest.call(other, Function::REPORT_FEATURES.0, &[Give::U64(1), Give::U64(BIT_63)]);
    assert_eq!(answer.status, Status::SUCCESS);
    client.report(1);

    let got = client.asked(Formats::TEXT, |_, context, _| {
        let parameters = [Give::U64(context), Give::U32(1), Give::In(b"other's")];
        let answer = client.guest.call(other, Function::DATA_WRITE.0, &parameters);
        assert_eq!(answer.status, Status::INVALID_CONTEXT);
        client.write(context, 1, b"its own");
    });

    assert_eq!(got, Ok(b"its own".to_vec()));
}

#[test]
fn a_host_does_not_wait_for_ever() {
    let client = Client::new();
    client.report(1);

    let got = client.guest.host.clipboard_get(Formats::TEXT, Duration::from_millis(5));

    assert!(matches!(got, Err(ClipboardError::TimedOut(_))));
    assert!(client.silent(), "what nobody waits for is not asked");
    assert!(matches!(
        Guest::reported().host.clipboard_get(Formats::TEXT, SOON),
        Err(ClipboardError::Nothing { .. })
    ));
}

#[test]
fn a_guest_without_contexts_has_messages_of_its_own() {
    let client = Client::old();
    let wait = || {
        let function = Function::MESSAGE_OLD_GET_WAIT.0;
        client.guest.wait(2, client.number, function, &[Give::U32(9), Give::U32(9)])
    };
    let waiting = wait();
    client.put(&[(Formats::TEXT, b"x\0\0\0")]);
    let answer = client.guest.answer(&waiting).expect("answered");
    assert_eq!((answer.status, answer.u32(0), answer.u32(1)), (Status::SUCCESS, 3, 1));
    assert!(client.silent(), "it was fetched with it");

    client.report(4);
    let waiting = wait();
    std::thread::scope(|threads| {
        let host = threads.spawn(|| client.guest.host.clipboard_get(Formats::HTML, SOON));
        while client.guest.answer(&waiting).is_none() {
            client.guest.bus_wait();
        }
        let answer = client.guest.answer(&waiting).expect("answered");
        assert_eq!((answer.u32(0), answer.u32(1)), (2, 4), "read data");
        let write = |parameters: &[Give<'_>]| client.status(Function::DATA_WRITE, parameters);
        assert_eq!(write(&[Give::U64(0), Give::U32(4), Give::In(b"x")]), Status::WRONG_PARAMETER_COUNT);
        assert_eq!(write(&[Give::U64(4), Give::In(b"x")]), Status::WRONG_PARAMETER_TYPE);
        assert_eq!(write(&[Give::U32(1), Give::In(b"x")]), Status::INVALID_CONTEXT, "not asked for");
        assert_eq!(write(&[Give::U32(4), Give::In(b"<i>")]), Status::SUCCESS);
        assert_eq!(host.join().expect("no panic"), Ok(b"<i>".to_vec()));
    });

    let old = |parameters: &[Give<'_>]| client.status(Function::MESSAGE_OLD_GET_WAIT, parameters);
    assert_eq!(old(&[Give::U32(0)]), Status::WRONG_PARAMETER_COUNT);
    assert_eq!(old(&[Give::U32(0), Give::U64(0)]), Status::WRONG_PARAMETER_TYPE);
}

#[test]
fn peeking_shows_a_message_and_leaves_it() {
    let client = Client::new();
    client.put(&[(Formats::TEXT, b"x\0\0\0")]);
    for function in [Function::MESSAGE_PEEK_NO_WAIT, Function::MESSAGE_PEEK_WAIT] {
        let four = [Give::U32(7), Give::U32(7), Give::U32(7), Give::U32(7), Give::U32(7)];
        let answer = client.call(function, &four);
        let words: Vec<u32> = (0..5).map(|at| answer.u32(at)).collect();
        assert_eq!((answer.status, words), (Status::SUCCESS, vec![3, 2, !4, !4, 0]));
        for (parameters, expected) in [
            (&[Give::U64(0)][..], Status::WRONG_PARAMETER_COUNT),
            (&[], Status::WRONG_PARAMETER_COUNT),
            (&[Give::U64(0), Give::U64(0)], Status::WRONG_PARAMETER_TYPE),
            (&[Give::U32(0), Give::In(b"x")], Status::WRONG_PARAMETER_TYPE),
        ] {
            assert_eq!(client.status(function, parameters), expected);
        }
    }
}

#[test]
fn fetching_wants_the_very_message() {
    let client = Client::new();
    let get = |parameters: &[Give<'_>]| client.status(Function::MESSAGE_GET, parameters);
    assert_eq!(get(&[Give::U32(3), Give::U32(0)]), Status::TRY_AGAIN);
    client.put(&[(Formats::TEXT, b"x\0\0\0")]);
    for (parameters, expected) in [
        (&[Give::U32(5), Give::U32(0)][..], Status::MISMATCH),
        (&[Give::U64(5), Give::U32(0)], Status::MISMATCH),
        (&[Give::U32(3)], Status::WRONG_PARAMETER_COUNT),
        (&[Give::U32(3), Give::U32(0), Give::U32(0)], Status::WRONG_PARAMETER_COUNT),
        (&[], Status::WRONG_PARAMETER_COUNT),
        (&[Give::U64(3), Give::U32(0)], Status::WRONG_PARAMETER_TYPE),
        (&[Give::U32(3), Give::In(b"x")], Status::WRONG_PARAMETER_TYPE),
        (&[Give::U32(u32::MAX), Give::U32(0)], Status::SUCCESS),
        (&[Give::U32(3), Give::U32(0)], Status::TRY_AGAIN),
    ] {
        assert_eq!(get(parameters), expected);
    }
}

#[test]
fn one_call_of_a_client_waits_until_it_is_ended() {
    let client = Client::new();
    let cancel = || client.status(Function::MESSAGE_CANCEL, &[]);
    assert_eq!(cancel(), Status::WARN_NOT_FOUND);
    let waiting = client.peek(2);
    let second = client.call(Function::MESSAGE_PEEK_WAIT, &[Give::U64(0), Give::U32(0)]);
    assert_eq!(second.status, Status::RESOURCE_BUSY);
    assert_eq!(client.status(Function::MESSAGE_CANCEL, &[Give::U32(0)]), Status::WRONG_PARAMETER_COUNT);

    assert_eq!(cancel(), Status::SUCCESS);

    let answer = client.guest.answer(&waiting).expect("answered");
    assert_eq!((answer.status, answer.u64(0)), (Status::INFO_TRY_AGAIN, 4), "cancelled");
    assert_eq!(cancel(), Status::WARN_NOT_FOUND);
}

#[test]
fn a_call_that_the_driver_cancelled_still_waits_for_the_service() {
    let client = Client::new();
    let waiting = client.peek(2);
    assert_eq!(client.guest.cancel(&waiting), Status::SUCCESS);
    let again = client.call(Function::MESSAGE_PEEK_WAIT, &[Give::U64(0), Give::U32(0)]);
    assert_eq!(again.status, Status::RESOURCE_BUSY);
    assert_eq!(client.status(Function::MESSAGE_CANCEL, &[]), Status::SUCCESS);
    let waiting = client.peek(2);
    assert_eq!(client.guest.cancel(&waiting), Status::SUCCESS);

    client.put(&[(Formats::TEXT, b"x\0\0\0")]);

    assert!(client.guest.answer(&waiting).is_none());
    assert_eq!(client.message().0, Message::FORMATS_REPORT, "it was not lost");
}

#[test]
fn an_old_wait_that_was_cancelled_takes_no_message_along() {
    let client = Client::old();
    let parameters = [Give::U32(0), Give::U32(0)];
    let waiting = client.guest.wait(2, client.number, Function::MESSAGE_OLD_GET_WAIT.0, &parameters);
    client.guest.cancel(&waiting);

    client.put(&[(Formats::TEXT, b"x\0\0\0")]);

    let answer = client.call(Function::MESSAGE_OLD_GET_WAIT, &parameters);
    assert_eq!((answer.status, answer.u32(0)), (Status::SUCCESS, 3));
}

#[test]
fn a_disconnected_client_s_wait_ends_with_quit() {
    let client = Client::new();
    let waiting = client.peek(2);

    client.guest.disconnect(client.number);

    let answer = client.guest.answer(&waiting).expect("answered");
    assert_eq!((answer.status, answer.u64(0), answer.u32(1)), (Status::SUCCESS, 1, 0));
}

#[test]
fn a_session_that_is_over_is_said_to_be() {
    let client = Client::new();
    let waiting = client.peek(2);
    let old = client.guest.host.session_id();

    client.guest.host.restore(&client.guest.host.save());

    let new = client.guest.host.session_id();
    let answer = client.guest.answer(&waiting).expect("answered");
    assert_eq!((answer.status, answer.u64(0)), (Status::VM_RESTORED, new));
    for function in [Function::MESSAGE_PEEK_NO_WAIT, Function::MESSAGE_PEEK_WAIT] {
        let answer = client.call(function, &[Give::U64(old), Give::U32(0)]);
        assert_eq!((answer.status, answer.u64(0)), (Status::VM_RESTORED, new));
    }
    client.peek(2);
}

#[test]
fn only_the_last_announcement_waits() {
    let client = Client::new();
    client.put(&[(Formats::TEXT, b"x\0\0\0")]);
    client.put(&[(Formats::HTML, b"x\0")]);
    assert_eq!(client.message(), (Message::FORMATS_REPORT, 3, 4));
    assert!(client.silent());
    client.put(&[]);
    assert_eq!(client.message(), (Message::FORMATS_REPORT, 3, 0), "nothing any more");
}

#[test]
fn a_message_that_was_shown_is_there_to_be_fetched() {
    let client = Client::new();
    client.put(&[(Formats::TEXT, b"x\0\0\0")]);
    let peeked = client.call(Function::MESSAGE_PEEK_NO_WAIT, &[Give::U64(0), Give::U32(0)]);
    assert_eq!(peeked.u64(0), 3);
    client.report(1);
    let in_vain = client.guest.host.clipboard_get(Formats::TEXT, Duration::from_millis(5));
    assert!(in_vain.is_err());

    client.put(&[(Formats::HTML, b"x\0")]);
    let got = client.call(Function::MESSAGE_GET, &[Give::U32(3), Give::U32(0)]);

    assert_eq!((got.status, got.u32(1)), (Status::SUCCESS, 4), "with what is true now");
    let peeked = client.peek(3);
    assert!(client.guest.host.clipboard_get(Formats::TEXT, Duration::from_millis(5)).is_err());
    assert!(client.guest.answer(&peeked).is_some());
    let (id, context, _) = client.message();
    assert_eq!(id, Message::READ_DATA_WITH_CONTEXT, "although nobody waits for it any more");
    assert_eq!(client.write(context, 1, b"late"), Status::SUCCESS);
}

#[test]
fn who_connects_late_hears_of_what_is_there() {
    let guest = Guest::reported();
    guest.host.clipboard_put([(Formats::TEXT, content::text("x"))]).expect("put");

    let number = guest.client(wire::SERVICE);

    let client = Client { guest, number };
    assert_eq!(client.message(), (Message::FORMATS_REPORT, 3, 1));
}

#[test]
fn who_copied_last_has_the_clipboard() {
    let client = Client::new();
    client.put(&[(Formats::TEXT, b"x\0\0\0")]);
    client.report(0);
    assert_eq!(client.read(1, 100).status, Status::SUCCESS, "an empty report takes nothing away");

    client.report(4);

    assert_eq!(client.read(1, 100).status, Status::CLIPBOARD_NO_DATA);
    client.guest.disconnect(client.number);
    assert_eq!(client.guest.host.clipboard_formats(), None);
}

#[test]
fn a_guest_at_a_loss_begins_anew() {
    let client = Client::new();
    let session = u64::from(client.number) << 48;
    let error = |parameters: &[Give<'_>]| client.status(Function::ERROR, parameters);
    assert_eq!(error(&[Give::U64(session)]), Status::INVALID_PARAMETER);
    assert_eq!(error(&[Give::U32(0), Give::U32(0)]), Status::INVALID_PARAMETER);
    assert_eq!(error(&[Give::U64(0), Give::U32(0)]), Status::INVALID_CONTEXT);

    let got = client.asked(Formats::TEXT, |_, context, _| {
        let status = Status::CLIPBOARD_GUEST_ERROR.0.cast_unsigned();
        assert_eq!(error(&[Give::U64(context), Give::U32(status)]), Status::SUCCESS);
    });

    let status = Status::CLIPBOARD_GUEST_ERROR;
    assert_eq!(got, Err(ClipboardError::Nothing { format: Formats::TEXT, status }));
    let write = client.status(Function::DATA_WRITE, &[Give::U32(1), Give::In(b"x")]);
    assert_eq!(write, Status::INVALID_CONTEXT, "its features are forgotten");
}

#[test]
fn what_the_guest_has_is_pasted_by_a_word() {
    let client = Client::new();
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let console = Console::new(&client.guest.host);
    client.report(7);
    // Two by one pixels, red and blue.
    let bitmap: Vec<u8> = [40, 2, 1, 1 | 24 << 16, 0, 8, 0, 0, 0, 0]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .chain([0, 0, 255, 255, 0, 0, 0, 0])
        .collect();
    let (text, html) = (content::text("one\ntwo\n"), content::html(b"<b>x</b>"));
    let png = path("a.png");
    for (line, wire, answer) in [
        ("clipboard get text".to_owned(), &text, json!({ "bytes": 8, "text": "one\ntwo\n" })),
        ("clipboard get html --timeout 10s".to_owned(), &html, json!({ "bytes": 8, "text": "<b>x</b>" })),
        (format!("clipboard get text {}", path("a.txt")), &text, json!({ "bytes": 8 })),
        (format!("clipboard get bmp {}", path("a.bmp")), &bitmap, json!({ "bytes": 62 })),
        ("clipboard get bmp".to_owned(), &bitmap, json!({ "bytes": 62 })),
        (format!("clipboard get png {png}"), &bitmap, json!(null)),
    ] {
        let peeked = client.peek(3);
        let said = std::thread::scope(|threads| {
            let host = threads.spawn(|| console.say(&line));
            while client.guest.answer(&peeked).is_none() {
                client.guest.bus_wait();
            }
            let (_, context, format) = client.message();
            assert_eq!(client.write(context, format, wire), Status::SUCCESS);
            host.join().expect("no panic").expect("pasted")
        });
        let said = serde_json::to_value(said).expect("json");
        assert!(answer.is_null() || said == answer, "{line}: {said}");
    }
    assert_eq!(std::fs::read_to_string(path("a.txt")).expect("a file"), "one\ntwo\n");
    assert_eq!(std::fs::read(path("a.bmp")).expect("a file")[14..], bitmap);
    let png = content::png(&std::fs::read(png).expect("a file")).expect("a picture");
    assert_eq!(png[40..], [0, 0, 255, 255, 255, 0, 0, 255]);

    let formats = serde_json::to_value(console.say("wait clipboard text").expect("reported")).expect("json");
    assert_eq!(formats, json!({ "formats": "text|bitmap|html" }));
    let state = serde_json::to_value(console.say("state").expect("a state")).expect("json");
    let waiting =
        json!([{ "client": client.number, "service": wire::SERVICE, "class": "user", "waiting": [] }]);
    assert_eq!(state["hgcm"], waiting);
    assert_eq!(state["clipboard"]["guest"], "text|bitmap|html");
}

#[test]
fn a_guest_that_sends_something_else_than_it_says_is_refused() {
    let client = Client::new();
    let console = Console::new(&client.guest.host);
    let peeked = client.peek(3);
    std::thread::scope(|threads| {
        let host = threads.spawn(|| console.say("clipboard get text"));
        while client.guest.answer(&peeked).is_none() {
            client.guest.bus_wait();
        }
        let (_, context, format) = client.message();
        client.write(context, format, b"odd");
        let refused = host.join().expect("no panic").expect_err("no text").to_string();
        assert!(refused.starts_with("Guest's clipboard: A text of the clipboard is UTF-16"), "{refused}");
    });
}

#[test]
fn a_busy_host_is_injected() {
    let client = Client::new();
    client.put(&[(Formats::TEXT, b"x\0\0\0")]);
    let console = Console::new(&client.guest.host);
    console.say("inject HGCMCall64 -52 2 --function data-read").expect("injected");

    let statuses = [(); 3].map(|()| client.read(1, 100).status);

    assert_eq!(statuses, [Status::TRY_AGAIN, Status::TRY_AGAIN, Status::SUCCESS]);
}

#[test]
fn clients_are_limited_by_class() {
    let guest = Guest::frank();
    for (requestor, clients) in [(0, 1), (0x8B, 20), (0x800E, 20)] {
        for _ in 0..clients {
            assert_eq!(guest.connect_as(wire::SERVICE, requestor).0, Status::SUCCESS);
        }
        assert_eq!(guest.connect_as(wire::SERVICE, requestor).0, Status::HGCM_TOO_MANY_CLIENTS);
    }
}

#[test]
fn a_reset_ends_what_the_guest_had_and_leaves_the_host_s() {
    let client = Client::new();
    client.report(1);
    client.put(&[(Formats::TEXT, b"x\0\0\0")]);

    client.guest.host.reset();

    let report = client.guest.host.clipboard();
    assert_eq!((report.guest, report.host.len()), (None, 1));
}

#[test]
fn a_host_puts_single_formats_once() {
    let host = vmmdev::Host::default();
    let put = |formats: &[Formats]| host.clipboard_put(formats.iter().map(|format| (*format, vec![0])));
    for formats in [&[Formats::TEXT | Formats::HTML][..], &[Formats::empty()], &[Formats::TEXT; 2]] {
        assert!(matches!(put(formats), Err(ClipboardError::NotOneFormat { .. })));
    }
    let large = host.clipboard_put([(Formats::BITMAP, vec![0; (128 << 20) - 4095])]);
    assert_eq!(large, Err(ClipboardError::TooLarge { found: (128 << 20) - 4095 }));
}
