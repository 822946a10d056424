//! The exchange between a host and a desktop that are played here, with a clock of their own.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use bellhop_plugin::hgcm::Value;

use super::wire::status;
use super::*;
use crate::formats::Format;

type Memory = Rc<RefCell<Vec<u8>>>;

/// A status that is a failure of the agent's and not of the host's.
fn unavailable() -> Error {
    Error::Unavailable("gone".into())
}

/// A call that is under way.
struct Call {
    token: Token,
    function: u32,
    /// As people write it.
    text: String,
    into: Option<Memory>,
}

/// The agent: it writes down what it is asked for.
#[derive(Default)]
struct Recorder {
    now: Cell<Duration>,
    /// How long it takes to ask what time it is: as long as a piece of work.
    tick: Duration,
    last: Token,
    calls: Vec<Call>,
    timers: BTreeMap<Token, Duration>,
    reads: Vec<(Token, String)>,
    /// What was done, since a test last looked.
    done: Vec<String>,
    lines: Vec<(Level, String)>,
    session: u64,
    /// What goes wrong, the next times.
    connecting: VecDeque<Error>,
    offering: VecDeque<Error>,
    reading: VecDeque<Error>,
    watching: VecDeque<Error>,
}

impl Recorder {
    fn token(&mut self) -> Token {
        self.last += 1;
        self.last
    }
}

fn shown(bytes: &[u8]) -> String {
    match bytes.len() {
        0..=64 => format!("\"{}\"", bytes.escape_ascii()),
        length => format!("{length} bytes"),
    }
}

fn shown_selection(selection: Selection) -> &'static str {
    match selection {
        Selection::Clipboard => "Clipboard",
        Selection::Primary => "Primary",
    }
}

impl Agent for Recorder {
    type Buffer = Memory;

    fn now(&self) -> Duration {
        self.now.set(self.now.get() + self.tick);
        self.now.get()
    }

    fn log(&mut self, level: Level, line: &str) {
        self.lines.push((level, line.to_owned()));
    }

    fn create(&mut self) -> Result<Memory, Error> {
        Ok(Memory::default())
    }

    fn set_timer(&mut self, after: Duration) -> Result<Token, Error> {
        let token = self.token();
        self.timers.insert(token, self.now.get() + after);
        assert!(self.timers.len() <= 64);
        Ok(token)
    }

    fn cancel_timer(&mut self, timer: Token) {
        self.timers.remove(&timer);
    }

    fn session(&mut self) -> Result<u64, Error> {
        Ok(self.session)
    }

    fn connect(&mut self) -> Result<(), Error> {
        self.done.push("connect".into());
        self.connecting.pop_front().map_or(Ok(()), Err)
    }

    fn disconnect(&mut self) {
        self.done.push("disconnect".into());
        self.calls.clear();
    }

    fn submit(
        &mut self,
        function: u32,
        parameters: &[Parameter<'_, Memory>],
        timeout: Option<Duration>,
    ) -> Result<Token, Error> {
        use wire::function as f;
        let waits = [f::OLD_GET_WAIT, f::PEEK_WAIT].contains(&function);
        assert_eq!(timeout.is_none(), waits, "only a wait may take for ever");
        assert!(parameters.len() <= 32);

        let mut into = None;
        let texts = parameters.iter().map(|parameter| match parameter {
            Parameter::Value32(value) => format!("{value}"),
            Parameter::Value64(value) => format!("{value}L"),
            Parameter::Bytes(bytes) => shown(bytes),
            Parameter::Room(size) => format!("room {size}"),
            Parameter::FromBuffer(buffer) => shown(&buffer.borrow()),
            Parameter::IntoBuffer(buffer, size) => {
                into = Some(Rc::clone(buffer));
                format!("room {size}")
            }
        });
        let name = match function {
            f::OLD_GET_WAIT => "OLD_GET_WAIT",
            f::REPORT_FORMATS => "REPORT_FORMATS",
            f::DATA_READ => "DATA_READ",
            f::DATA_WRITE => "DATA_WRITE",
            f::REPORT_FEATURES => "REPORT_FEATURES",
            f::PEEK_NOWAIT => "PEEK_NOWAIT",
            f::PEEK_WAIT => "PEEK_WAIT",
            f::GET => "GET",
            f::CANCEL => "CANCEL",
            f::ERROR => "ERROR",
            _ => panic!("function {function}"),
        };
        let text = format!("{name}({})", texts.collect::<Vec<_>>().join(", "));
        self.done.push(text.clone());
        let token = self.token();
        self.calls.push(Call { token, function, text, into });
        // The service has bounds of its own.
        assert!(self.calls.len() <= 16, "{} calls at once", self.calls.len());
        Ok(token)
    }

    fn cancel(&mut self, call: Token) {
        if let Some(index) = self.calls.iter().position(|it| it.token == call) {
            let call = self.calls.remove(index);
            self.done.push(format!("cancel {}", call.text));
        }
    }

    fn watch(&mut self, selection: Selection) -> Result<(), Error> {
        self.done.push(format!("watch {}", shown_selection(selection)));
        self.watching.pop_front().map_or(Ok(()), Err)
    }

    fn read(&mut self, selection: Selection, format: &str) -> Result<Token, Error> {
        let text = format!("read {} {format}", shown_selection(selection));
        self.done.push(text.clone());
        if let Some(error) = self.reading.pop_front() {
            return Err(error);
        }
        let token = self.token();
        self.reads.push((token, text));
        Ok(token)
    }

    fn offer(&mut self, formats: &[&str]) -> Result<(), Error> {
        self.done.push(format!("offer {}", formats.join(" ")));
        self.offering.pop_front().map_or(Ok(()), Err)
    }

    fn withdraw(&mut self) -> Result<(), Error> {
        self.done.push("withdraw".into());
        Ok(())
    }

    fn answer(&mut self, wanted: Token, content: Memory) -> Result<(), Error> {
        self.done.push(format!("answer {wanted} {}", shown(&content.borrow())));
        Ok(())
    }

    fn refuse(&mut self, wanted: Token) {
        self.done.push(format!("refuse {wanted}"));
    }
}

/// What one parameter has become.
fn word(value: u32) -> Value {
    Value::Value32(value)
}

fn long(value: u64) -> Value {
    Value::Value64(value)
}

/// A host and a desktop, and the exchange between them.
struct Stage {
    exchange: Exchange<Recorder>,
}

impl Stage {
    /// Begins, and says nothing yet.
    fn begun(config: Config) -> Self {
        Self::with(Recorder { session: 7, ..Recorder::default() }, config)
    }

    fn with(recorder: Recorder, config: Config) -> Self {
        let mut exchange = Exchange::new(recorder, config);
        exchange.start();
        Stage { exchange }
    }

    /// A host that has nothing to say, and waits.
    fn idle() -> Self {
        Self::idle_with(Config::default())
    }

    fn idle_with(config: Config) -> Self {
        let mut stage = Self::begun(config);
        stage.catch_up();
        stage.done();
        stage
    }

    /// Answers until the host is waited for.
    fn catch_up(&mut self) {
        self.reply("REPORT_FEATURES", 0, vec![long(3), long(0)]);
        self.reply("PEEK_NOWAIT", status::TRY_AGAIN, vec![long(0), word(0)]);
        assert_eq!(self.waiting("PEEK_WAIT"), 1);
    }

    fn agent(&mut self) -> &mut Recorder {
        &mut self.exchange.agent
    }

    /// What was done since this was last asked.
    fn done(&mut self) -> Vec<String> {
        std::mem::take(&mut self.agent().done)
    }

    /// How many calls of a function are under way.
    fn waiting(&mut self, name: &str) -> usize {
        self.agent().calls.iter().filter(|call| call.text.starts_with(name)).count()
    }

    fn take(&mut self, name: &str) -> Call {
        let calls = &mut self.agent().calls;
        let texts: Vec<_> = calls.iter().map(|call| call.text.clone()).collect();
        let index = calls.iter().position(|call| call.text.starts_with(name));
        calls.remove(index.unwrap_or_else(|| panic!("No {name} among {texts:?}")))
    }

    /// The host answers the oldest call of a function.
    fn reply(&mut self, name: &str, status: i32, values: Vec<Value>) {
        let call = self.take(name);
        self.exchange.completed(call.token, Ok(Completion { status, values }));
    }

    /// The driver answers it.
    fn fail(&mut self, name: &str, error: Error) {
        let call = self.take(name);
        self.exchange.completed(call.token, Err(error));
    }

    /// The host gives what it is asked for, as much of it as there is room for.
    fn give(&mut self, status: i32, content: &[u8]) {
        let call = self.take("DATA_READ");
        let room = call.text.split_once("room ").unwrap().1.split_once(',').unwrap().0;
        let held = &content[..content.len().min(room.parse().unwrap())];
        *call.into.unwrap().borrow_mut() = held.to_vec();
        let size = content.len() as u32;
        let values = vec![Value::Sent, Value::Buffer(size), word(size)];
        self.exchange.completed(call.token, Ok(Completion { status, values }));
    }

    /// The host has a message.
    fn message(&mut self, id: u64, parameters: Vec<Value>) {
        let count = parameters.len() as u32;
        self.reply("PEEK_WAIT", 0, vec![long(id), word(count)]);
        self.reply("GET", 0, parameters);
    }

    /// The host has something new, and the desktop says that the offer of it holds.
    fn formats(&mut self, formats: u32) {
        self.message(3, vec![word(3), word(formats)]);
        self.owned(Owner::Plugin, &[]);
    }

    fn request(&mut self, context: u64, formats: u32) {
        self.message(5, vec![long(context), word(formats)]);
    }

    fn owned(&mut self, owner: Owner, formats: &[&str]) {
        let formats: Vec<String> = formats.iter().map(|format| (*format).to_owned()).collect();
        self.exchange.changed(Selection::Clipboard, owner, &formats);
    }

    /// A program copies, and the host takes note of it.
    fn copied(&mut self, formats: &[&str]) {
        self.owned(Owner::Other, formats);
        self.reply("REPORT_FORMATS", 0, vec![Value::Sent]);
        self.done();
    }

    /// The owner answers the oldest read.
    fn owner_gives(&mut self, outcome: Result<&[u8], Error>) {
        let (token, _) = self.agent().reads.remove(0);
        self.exchange.read(token, outcome.map(|content| Rc::new(RefCell::new(content.to_vec()))));
    }

    fn wanted(&mut self, token: Token, format: &str) {
        self.exchange.wanted(token, format);
    }

    /// Time passes, and timers with it.
    fn pass(&mut self, time: Duration) {
        let end = self.agent().now.get() + time;
        while let Some((timer, due)) = self.next_timer()
            && due <= end
        {
            self.agent().timers.remove(&timer);
            let now = due.max(self.agent().now.get());
            self.agent().now.set(now);
            self.exchange.fired(timer);
        }
        self.agent().now.set(end);
    }

    fn next_timer(&mut self) -> Option<(Token, Duration)> {
        self.agent().timers.iter().map(|(timer, due)| (*timer, *due)).min_by_key(|(_, due)| *due)
    }

    /// One wait, no timer, and nothing else.
    fn assert_idle(&mut self) {
        let calls: Vec<_> = self.agent().calls.iter().map(|call| call.text.clone()).collect();
        assert_eq!(calls.len(), 1, "{calls:?}");
        assert!(calls[0].contains("WAIT"), "{calls:?}");
        assert!(self.agent().timers.is_empty(), "{:?}", self.agent().timers);
        let exchange = &self.exchange;
        let has_nothing = exchange.work.is_empty() && !exchange.guest.is_busy() && !exchange.host.is_busy();
        assert!(has_nothing);
    }

    fn said(&mut self, level: Level, text: &str) -> usize {
        self.agent().lines.iter().filter(|(its, line)| *its == level && line.contains(text)).count()
    }
}

#[test]
fn it_says_what_it_can_takes_what_is_there_and_waits() {
    let mut stage = Stage::begun(Config::default());
    assert_eq!(stage.done(), ["watch Clipboard", "connect", "REPORT_FEATURES(1L, 9223372036854775808L)"]);

    stage.reply("REPORT_FEATURES", 0, vec![long(3), long(0)]);
    stage.reply("PEEK_NOWAIT", 0, vec![long(3), word(2)]);
    stage.reply("GET", 0, vec![word(3), word(1)]);
    stage.reply("PEEK_NOWAIT", status::TRY_AGAIN, vec![long(0), word(0)]);
    assert_eq!(
        stage.done(),
        ["PEEK_NOWAIT(7L, 0)", "GET(3, 0)", "PEEK_NOWAIT(7L, 0)", "offer text/plain", "PEEK_WAIT(7L, 0)",]
    );
    stage.assert_idle();
}

#[test]
fn an_idle_exchange_is_one_call_and_no_timer() {
    let mut stage = Stage::idle();
    stage.assert_idle();
    stage.pass(Duration::from_secs(86_400));
    assert_eq!(stage.done(), [""; 0]);
    stage.assert_idle();
}

#[test]
fn an_old_host_is_spoken_to_in_the_old_way() {
    const MUST_BE_ONE: u64 = 1 << 63;
    let hosts = [
        (-12, vec![]),
        (-36, vec![]),
        (0, vec![long(0), long(0)]),
        (0, vec![long(1), long(MUST_BE_ONE)]),
        (0, vec![]),
    ];
    for (status, features) in hosts {
        let mut stage = Stage::begun(Config::default());
        stage.owned(Owner::Other, &["text/plain"]);
        stage.done();
        stage.reply("REPORT_FEATURES", status, features);
        assert_eq!(stage.done(), ["OLD_GET_WAIT(0, 0)", "REPORT_FORMATS(1)"]);
        stage.reply("REPORT_FORMATS", 0, vec![Value::Sent]);

        stage.reply("OLD_GET_WAIT", 0, vec![word(2), word(1)]);
        stage.owner_gives(Ok(b"a"));
        assert_eq!(
            stage.done(),
            ["OLD_GET_WAIT(0, 0)", "read Clipboard text/plain", "DATA_WRITE(1, \"a\\x00\\x00\\x00\")"]
        );
        stage.reply("DATA_WRITE", 0, vec![Value::Sent; 2]);

        stage.reply("OLD_GET_WAIT", 0, vec![word(3), word(4)]);
        assert_eq!(stage.done(), ["OLD_GET_WAIT(0, 0)", "offer text/html"]);
        stage.assert_idle();
    }
}

#[test]
fn what_the_guest_holds_is_delivered_in_the_context_of_the_request() {
    let mut stage = Stage::idle();
    stage.copied(&["text/plain", "UTF8_STRING"]);

    stage.request(0x0001_0002_0000_0003, 1);
    stage.owner_gives(Ok("second\n".as_bytes()));

    assert_eq!(
        stage.done(),
        [
            "GET(5L, 0)",
            "PEEK_WAIT(7L, 0)",
            "read Clipboard text/plain",
            r#"DATA_WRITE(281483566645251L, 1, "s\x00e\x00c\x00o\x00n\x00d\x00\r\x00\n\x00\x00\x00")"#,
        ]
    );
    stage.reply("DATA_WRITE", 0, vec![Value::Sent; 3]);
    stage.assert_idle();
}

#[test]
fn of_several_formats_that_would_do_one_is_delivered() {
    type Case = (&'static [&'static str], u32, &'static str, &'static [u8], &'static str);
    let cases: [Case; 4] = [
        (&["text/html", "text/plain"], 0b111, "text/plain", b"x", r#"1, "x\x00\x00\x00""#),
        (&["text/html", "text/plain"], 0b110, "text/html", b"x", r#"4, "x\x00""#),
        (&["text/html"], 0xffff_ffff, "text/html", b"x", r#"4, "x\x00""#),
        (&["text/uri-list", "text/html"], 0b1110, "text/html", b"", r#"4, "\x00""#),
    ];
    for (held, formats, mime, content, delivered) in cases {
        let mut stage = Stage::idle();
        stage.copied(held);
        stage.request(5, formats);
        stage.owner_gives(Ok(content));
        let done = stage.done();
        assert_eq!(done[2..], [format!("read Clipboard {mime}"), format!("DATA_WRITE(5L, {delivered})")]);
    }
}

/// A guest that holds text, is asked for it, and cannot give it.
fn fails(name: &str, stage: &mut Stage, formats: u32) {
    let empty = format!("DATA_WRITE(9L, {formats}, \"\")");
    assert_eq!(stage.done().last(), Some(&empty), "{name}");
    stage.reply("DATA_WRITE", 0, vec![Value::Sent; 3]);
    stage.assert_idle();

    // It does not stand in the way of the next one.
    stage.copied(&["text/plain"]);
    stage.request(10, 1);
    stage.owner_gives(Ok(b"y"));
    let full = r#"DATA_WRITE(10L, 1, "y\x00\x00\x00")"#;
    assert_eq!(stage.done().last().map(String::as_str), Some(full), "{name}");
    stage.reply("DATA_WRITE", 0, vec![Value::Sent; 3]);
    stage.assert_idle();
}

#[test]
fn a_request_for_what_nobody_holds_is_answered_with_nothing() {
    let mut stage = Stage::idle();
    stage.request(9, 1);
    fails("nothing was ever copied", &mut stage, 1);

    let mut stage = Stage::idle();
    stage.copied(&["text/plain"]);
    stage.request(9, 0b110);
    fails("there is only text", &mut stage, 0b110);

    let mut stage = Stage::idle();
    stage.copied(&["text/plain"]);
    stage.formats(1);
    stage.owned(Owner::Plugin, &[]);
    stage.request(9, 3);
    fails("what there is, is the host's", &mut stage, 3);
}

#[test]
fn a_request_whose_content_cannot_be_read_is_answered_with_nothing() {
    let errors = [unavailable(), Error::NotSupported("no".into()), Error::Other("x".into())];
    for error in errors {
        let mut stage = Stage::idle();
        stage.copied(&["text/plain"]);
        stage.request(9, 1);
        stage.owner_gives(Err(error.clone()));
        fails(&format!("the owner: {error}"), &mut stage, 1);

        let mut stage = Stage::idle();
        stage.copied(&["text/plain"]);
        stage.agent().reading.push_back(error.clone());
        stage.request(9, 1);
        fails(&format!("the desktop: {error}"), &mut stage, 1);
    }
}

#[test]
fn a_request_whose_owner_hangs_is_answered_before_the_host_gives_up() {
    let mut stage = Stage::idle();
    stage.copied(&["text/plain"]);
    stage.request(9, 1);
    stage.pass(Duration::from_millis(4400));
    assert_eq!(stage.waiting("DATA_WRITE"), 0);
    stage.pass(Duration::from_millis(200));
    assert_eq!(stage.said(Level::Warn, "the owner of the clipboard hangs"), 1);

    let late = stage.agent().reads.remove(0).0;
    fails("the owner hangs", &mut stage, 1);
    stage.exchange.read(late, Ok(Memory::default()));
    assert_eq!(stage.done(), [""; 0]);
    stage.assert_idle();
}

#[test]
fn a_request_whose_content_is_not_what_it_should_be_is_answered_with_nothing() {
    let mut stage = Stage::idle();
    stage.copied(&["image/png"]);
    stage.request(9, 2);
    stage.owner_gives(Ok(b"no PNG"));
    fails("no PNG", &mut stage, 2);

    let mut stage = Stage::idle_with(Config { largest: crate::config::Size(10), ..Config::default() });
    stage.copied(&["text/plain"]);
    stage.request(9, 1);
    stage.owner_gives(Ok(b"12345678901"));
    assert_eq!(stage.said(Level::Warn, "larger than 10 bytes"), 1);
    fails("too large", &mut stage, 1);
}

#[test]
fn a_picture_that_cannot_be_had_as_the_best_is_taken_as_the_next_best() {
    let mut stage = Stage::idle();
    stage.copied(&["image/bmp", "image/png"]);
    stage.request(9, 2);
    stage.owner_gives(Ok(b"no PNG"));
    let dib = [&[40, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 24, 0][..], &[0; 24], &[1, 2, 3, 0]].concat();
    let file = [b"BM\0\0\0\0\0\0\0\0\x36\0\0\0", &dib[..]].concat();
    stage.owner_gives(Ok(&file));

    let done = stage.done();
    assert_eq!(done[2..4], ["read Clipboard image/png", "read Clipboard image/bmp"]);
    assert_eq!(done[4], format!("DATA_WRITE(9L, 2, \"{}\")", dib.escape_ascii()));
}

#[test]
fn content_whose_owner_changes_meanwhile_is_read_again_twice() {
    let busy = || Err(Error::Busy("changed".into()));
    let mut stage = Stage::idle();
    stage.copied(&["text/plain"]);
    stage.request(9, 0b101);
    // What is new is there in another format.
    stage.owned(Owner::Other, &["text/html"]);
    stage.reply("REPORT_FORMATS", 0, vec![Value::Sent]);
    stage.owner_gives(busy());
    stage.owner_gives(busy());
    assert_eq!(stage.agent().reads.len(), 1);
    stage.owner_gives(Ok(b"<p>"));
    assert_eq!(stage.done().last().unwrap(), r#"DATA_WRITE(9L, 4, "<p>\x00")"#);
    stage.reply("DATA_WRITE", 0, vec![Value::Sent; 3]);

    stage.request(9, 4);
    for _ in 0..3 {
        stage.owner_gives(busy());
    }
    fails("it never stops changing", &mut stage, 4);
}

#[test]
fn content_that_the_host_does_not_take_is_followed_by_nothing() {
    for (status, said) in [(-54, "24 MiB"), (-38, "is set not to take it"), (-8, "status is -8")] {
        let mut stage = Stage::idle();
        stage.copied(&["text/plain"]);
        stage.request(9, 1);
        stage.owner_gives(Ok(b"x"));
        stage.reply("DATA_WRITE", status, vec![Value::Sent; 3]);
        assert_eq!(stage.said(Level::Warn, said), 1, "{status}");
        fails("status", &mut stage, 1);
    }
    let mut stage = Stage::idle();
    stage.copied(&["text/plain"]);
    stage.request(9, 1);
    stage.owner_gives(Ok(b"x"));
    stage.fail("DATA_WRITE", Error::Host((-54, "VERR_OUT_OF_RANGE".into())));
    fails("the driver says so itself", &mut stage, 1);
}

#[test]
fn nothing_that_is_not_taken_is_not_given_again() {
    let mut stage = Stage::idle();
    stage.request(9, 1);
    stage.reply("DATA_WRITE", -38, vec![Value::Sent; 3]);
    stage.assert_idle();
}

#[test]
fn requests_are_served_side_by_side_up_to_a_bound() {
    let mut stage = Stage::idle();
    stage.copied(&["text/plain"]);
    for context in 0..9 {
        stage.request(context, 1);
    }
    assert_eq!(stage.agent().reads.len(), 8);
    assert_eq!(stage.done().last().unwrap(), r#"DATA_WRITE(8L, 1, "")"#);

    // Out of order.
    let (last, _) = stage.agent().reads.pop().unwrap();
    stage.exchange.read(last, Ok(Rc::new(RefCell::new(b"z".to_vec()))));
    assert_eq!(stage.done(), [r#"DATA_WRITE(7L, 1, "z\x00\x00\x00")"#]);
    for _ in 0..7 {
        stage.owner_gives(Ok(b""));
    }
    for _ in 0..9 {
        stage.reply("DATA_WRITE", 0, vec![Value::Sent; 3]);
    }
    stage.assert_idle();
}

#[test]
fn the_host_is_told_of_all_that_can_be_converted() {
    let cases: [(&[&str], &str); 5] = [
        (&["text/plain", "text/html", "image/png", "image/bmp"], "REPORT_FORMATS(7)"),
        (&["image/bmp"], "REPORT_FORMATS(2)"),
        (&["audio/ogg", "text/plain", "text/uri-list"], "REPORT_FORMATS(1)"),
        (&["audio/ogg"], "REPORT_FORMATS(0)"),
        (&[], "REPORT_FORMATS(0)"),
    ];
    for (formats, expected) in cases {
        let mut stage = Stage::idle();
        stage.copied(&["text/plain"]);
        stage.owned(Owner::Other, formats);
        assert_eq!(stage.done(), [expected], "{formats:?}");
    }
}

#[test]
fn what_is_not_configured_does_not_cross() {
    let config = Config { formats: vec![Format::UriList], ..Config::default() };
    let mut stage = Stage::idle_with(config);
    stage.owned(Owner::Other, &["text/plain", "text/uri-list"]);
    assert_eq!(stage.done(), ["REPORT_FORMATS(8)"]);
    stage.reply("REPORT_FORMATS", 0, vec![Value::Sent]);
    stage.request(1, 1);
    assert_eq!(stage.done().last().unwrap(), r#"DATA_WRITE(1L, 1, "")"#);
    stage.formats(0b1111);
    assert_eq!(stage.done().last().unwrap(), "offer text/uri-list");
    stage.wanted(100, "text/plain");
    assert_eq!(stage.done(), ["refuse 100"]);
}

#[test]
fn what_was_copied_before_the_start_is_told_once_the_host_can_hear_it() {
    let mut stage = Stage::begun(Config::default());
    stage.owned(Owner::Other, &["text/plain"]);
    assert_eq!(stage.waiting("REPORT_FORMATS"), 0);
    stage.catch_up();
    assert_eq!(stage.done().last().unwrap(), "REPORT_FORMATS(1)");
}

#[test]
fn what_the_host_has_already_outdoes_what_was_copied_before_the_start() {
    let mut stage = Stage::begun(Config::default());
    stage.owned(Owner::Other, &["text/plain"]);
    stage.reply("REPORT_FEATURES", 0, vec![long(1), long(0)]);
    stage.reply("PEEK_NOWAIT", 0, vec![long(3), word(2)]);
    stage.reply("GET", 0, vec![word(3), word(4)]);
    stage.owned(Owner::Plugin, &[]);
    stage.reply("PEEK_NOWAIT", status::TRY_AGAIN, vec![]);
    let done = stage.done();
    assert!(done.contains(&"offer text/html".to_owned()), "{done:?}");
    assert!(!done.iter().any(|done| done.starts_with("REPORT_FORMATS")), "{done:?}");
    stage.assert_idle();
}

#[test]
fn our_own_offer_is_not_told_to_the_host() {
    let mut stage = Stage::idle();
    stage.formats(1);
    stage.done();
    stage.owned(Owner::Plugin, &[]);
    stage.owned(Owner::Plugin, &["text/plain"]);
    assert_eq!(stage.done(), [""; 0]);
}

#[test]
fn the_host_is_told_when_nobody_holds_anything_any_more_and_only_then() {
    let mut stage = Stage::idle();
    stage.owned(Owner::Nobody, &[]);
    assert_eq!(stage.done(), [""; 0]);
    stage.copied(&["text/plain"]);
    stage.owned(Owner::Nobody, &[]);
    assert_eq!(stage.done(), ["REPORT_FORMATS(0)"]);
    stage.reply("REPORT_FORMATS", 0, vec![Value::Sent]);
    stage.owned(Owner::Nobody, &[]);
    assert_eq!(stage.done(), [""; 0]);
}

#[test]
fn new_content_in_the_same_formats_is_told_again() {
    let mut stage = Stage::idle();
    stage.copied(&["text/plain"]);
    stage.owned(Owner::Other, &["text/plain"]);
    assert_eq!(stage.done(), ["REPORT_FORMATS(1)"]);
}

#[test]
fn while_the_host_is_told_only_the_last_change_is_kept() {
    let mut stage = Stage::idle();
    for formats in [&["text/plain"], &["text/html"], &["image/png"]] {
        stage.owned(Owner::Other, formats);
    }
    assert_eq!(stage.done(), ["REPORT_FORMATS(1)"]);
    stage.reply("REPORT_FORMATS", 0, vec![Value::Sent]);
    assert_eq!(stage.done(), ["REPORT_FORMATS(2)"]);
}

#[test]
fn a_host_that_cannot_be_told_now_is_told_later_and_not_for_ever() {
    let mut stage = Stage::idle();
    stage.owned(Owner::Other, &["text/plain"]);
    for _ in 0..5 {
        stage.reply("REPORT_FORMATS", status::TRY_AGAIN, vec![Value::Sent]);
        assert_eq!(stage.waiting("REPORT_FORMATS"), 0);
        stage.pass(Duration::from_secs(5));
    }
    stage.reply("REPORT_FORMATS", status::TRY_AGAIN, vec![Value::Sent]);
    stage.pass(Duration::from_secs(60));
    stage.assert_idle();

    stage.owned(Owner::Other, &["text/plain"]);
    stage.reply("REPORT_FORMATS", status::TRY_AGAIN, vec![Value::Sent]);
    stage.owned(Owner::Other, &["text/html"]);
    stage.pass(Duration::from_secs(5));
    stage.reply("REPORT_FORMATS", 0, vec![Value::Sent]);
    assert_eq!(stage.done().last().unwrap(), "REPORT_FORMATS(4)");
    stage.assert_idle();
}

#[test]
fn a_host_that_does_not_want_it_is_told_of_the_next_all_the_same() {
    let mut stage = Stage::idle();
    for _ in 0..3 {
        stage.owned(Owner::Other, &["text/plain"]);
        assert_eq!(stage.done(), ["REPORT_FORMATS(1)"]);
        stage.reply("REPORT_FORMATS", status::ACCESS_DENIED, vec![Value::Sent]);
        stage.assert_idle();
    }
    assert_eq!(stage.said(Level::Warn, "it is set so"), 1, "a person is told once");
}

#[test]
fn what_is_selected_crosses_only_if_that_is_configured() {
    let selected = |stage: &mut Stage, owner, formats: &[&str]| {
        let formats: Vec<String> = formats.iter().map(|format| (*format).to_owned()).collect();
        stage.exchange.changed(Selection::Primary, owner, &formats);
    };
    let mut stage = Stage::idle();
    selected(&mut stage, Owner::Other, &["text/plain"]);
    assert_eq!(stage.done(), [""; 0]);

    let mut stage = Stage::begun(Config { primary: true, ..Config::default() });
    assert_eq!(stage.done()[..2], ["watch Clipboard", "watch Primary"]);
    stage.catch_up();
    stage.copied(&["text/html"]);
    selected(&mut stage, Owner::Other, &["text/plain"]);
    assert_eq!(stage.done(), ["REPORT_FORMATS(1)"]);
    stage.reply("REPORT_FORMATS", 0, vec![Value::Sent]);
    stage.request(1, 1);
    assert_eq!(stage.done().last().unwrap(), "read Primary text/plain");
    stage.owner_gives(Ok(b""));

    // What was copied is still there.
    selected(&mut stage, Owner::Nobody, &[]);
    assert_eq!(stage.done().last().unwrap(), "REPORT_FORMATS(4)");
    stage.reply("REPORT_FORMATS", 0, vec![Value::Sent]);
    stage.request(2, 4);
    assert_eq!(stage.done().last().unwrap(), "read Clipboard text/html");
}

#[test]
fn all_that_the_host_has_is_offered_at_once() {
    let cases = [
        (1, "offer text/plain"),
        (0b111, "offer text/plain image/png image/bmp text/html"),
        (0xffff_fff2, "offer image/png image/bmp"),
    ];
    for (formats, expected) in cases {
        let mut stage = Stage::idle();
        stage.formats(formats);
        assert_eq!(stage.done().last().unwrap(), expected);
        stage.assert_idle();
    }
}

#[test]
fn what_the_host_has_no_more_is_withdrawn() {
    for formats in [0, 8, 0xffff_0000] {
        let mut stage = Stage::idle();
        stage.formats(formats);
        assert!(!stage.done().contains(&"withdraw".to_owned()), "nothing was offered");
        stage.formats(1);
        stage.formats(formats);
        assert_eq!(stage.done().last().unwrap(), "withdraw");
        stage.wanted(100, "text/plain");
        assert_eq!(stage.done(), ["refuse 100"]);
    }
}

#[test]
fn word_of_an_owner_from_before_our_offer_is_no_news() {
    let offered = || {
        let mut stage = Stage::idle();
        stage.message(3, vec![word(3), word(1)]);
        stage.owned(Owner::Other, &["text/html"]);
        stage.done();
        stage
    };
    let mut stage = offered();
    stage.owned(Owner::Plugin, &[]);
    stage.pass(Duration::from_secs(5));
    assert_eq!(stage.done(), [""; 0], "the host has what was copied last");
    stage.wanted(100, "text/plain");
    stage.give(0, b"a\0\0\0");
    assert_eq!(stage.done().last().unwrap(), "answer 100 \"a\"");
    stage.assert_idle();

    // No word of ours comes: the owner is a new one.
    let mut stage = offered();
    stage.owned(Owner::Other, &["image/png"]);
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.done(), ["REPORT_FORMATS(2)"]);
    stage.reply("REPORT_FORMATS", 0, vec![Value::Sent]);
    stage.assert_idle();
}

#[test]
fn when_both_sides_copy_at_once_one_of_them_counts_for_both() {
    let crossing = |status| {
        let mut stage = Stage::idle();
        stage.owned(Owner::Other, &["text/plain"]);
        stage.reply("PEEK_WAIT", 0, vec![long(3), word(2)]);
        assert_eq!(stage.waiting("GET"), 0);
        stage.reply("REPORT_FORMATS", status, vec![Value::Sent]);
        stage.done();
        stage.reply("GET", 0, vec![word(3), word(4)]);
        stage
    };
    // The host took note of it, and may have given up what it has.
    let mut stage = crossing(0);
    assert_eq!(stage.done(), ["PEEK_WAIT(7L, 0)", "REPORT_FORMATS(1)"]);
    stage.reply("REPORT_FORMATS", 0, vec![Value::Sent]);
    stage.assert_idle();
    stage.formats(4);
    assert_eq!(stage.done().last().unwrap(), "offer text/html");

    // A host that takes over whatever it is told of has its way.
    let mut stage = crossing(0);
    stage.reply("PEEK_WAIT", 0, vec![long(3), word(2)]);
    stage.reply("REPORT_FORMATS", 0, vec![Value::Sent]);
    stage.reply("GET", 0, vec![word(3), word(4)]);
    assert_eq!(stage.done().last().unwrap(), "offer text/html");

    // The host does not want it.
    let mut stage = crossing(status::ACCESS_DENIED);
    assert_eq!(stage.done(), ["PEEK_WAIT(7L, 0)", "offer text/html"]);

    // What is copied while a message is taken waits until it was heard.
    let mut stage = Stage::idle();
    stage.reply("PEEK_WAIT", 0, vec![long(3), word(2)]);
    stage.owned(Owner::Other, &["text/plain"]);
    assert_eq!(stage.done(), ["GET(3, 0)"]);
    stage.reply("GET", 0, vec![word(3), word(4)]);
    assert_eq!(stage.done(), ["PEEK_WAIT(7L, 0)", "offer text/html"]);
}

#[test]
fn a_host_gets_nothing_before_it_knows_of_it() {
    let mut stage = Stage::idle();
    stage.owned(Owner::Other, &["text/plain"]);
    stage.reply("PEEK_WAIT", 0, vec![long(5), word(2)]);
    assert_eq!(stage.done(), ["REPORT_FORMATS(1)"]);
    stage.reply("REPORT_FORMATS", 0, vec![Value::Sent]);
    assert_eq!(stage.done(), ["GET(5L, 0)"]);
    stage.reply("GET", 0, vec![long(9), word(1)]);
    assert_eq!(stage.done(), ["PEEK_WAIT(7L, 0)", "read Clipboard text/plain"]);
}

#[test]
fn a_host_that_asks_is_told_first_what_there_is() {
    let mut stage = Stage::begun(Config::default());
    stage.owned(Owner::Other, &["text/plain"]);
    stage.reply("REPORT_FEATURES", 0, vec![long(1), long(0)]);
    stage.reply("PEEK_NOWAIT", 0, vec![long(5), word(2)]);
    stage.done();
    stage.reply("GET", 0, vec![long(9), word(1)]);
    stage.owner_gives(Ok(b""));
    assert_eq!(
        stage.done(),
        [
            "PEEK_WAIT(7L, 0)",
            "read Clipboard text/plain",
            "REPORT_FORMATS(1)",
            r#"DATA_WRITE(9L, 1, "\x00\x00")"#,
        ]
    );
}

#[test]
fn an_offer_to_a_desktop_that_is_not_there_is_made_when_it_is() {
    let mut stage = Stage::idle();
    stage.agent().offering.push_back(unavailable());
    stage.formats(1);
    stage.done();
    stage.owned(Owner::Nobody, &[]);
    assert_eq!(stage.done(), ["offer text/plain"]);

    stage.agent().offering.push_back(Error::Denied("clipboard".into()));
    stage.formats(1);
    stage.done();
    stage.owned(Owner::Nobody, &[]);
    assert_eq!(stage.done(), [""; 0]);
}

#[test]
fn what_is_pasted_is_fetched_converted_and_answered() {
    let mut stage = Stage::idle();
    stage.formats(1);
    stage.done();
    stage.wanted(100, "text/plain");
    stage.give(0, b"a\0\r\0\n\0\0\0");
    assert_eq!(stage.done(), ["DATA_READ(1, room 65536, 0)", "answer 100 \"a\\n\""]);
    stage.assert_idle();
}

#[test]
fn room_grows_to_the_size_that_the_host_names() {
    let mut stage = Stage::idle();
    stage.formats(4);
    stage.done();
    stage.wanted(100, "text/html");
    let content = [&vec![b'x'; 99_999][..], &[0]].concat();
    stage.give(41, &content);
    assert_eq!(stage.done(), ["DATA_READ(4, room 65536, 0)", "DATA_READ(4, room 100000, 0)"]);
    // It fits exactly, and the host says that it does not.
    stage.give(41, &content);
    assert_eq!(stage.done(), ["answer 100 99999 bytes"]);
    stage.assert_idle();
}

#[test]
fn content_that_fits_exactly_is_taken_whatever_the_host_says_of_it() {
    for status in [0, 41] {
        let mut stage = Stage::idle();
        stage.formats(4);
        stage.wanted(100, "text/html");
        stage.give(status, &[b'x'; 65_536]);
        assert_eq!(stage.done().last().unwrap(), "answer 100 65536 bytes");
        stage.assert_idle();
    }
}

/// Something is pasted, and the host answers like this.
fn pasted(config: Config, answer: impl Fn(&mut Stage)) -> Stage {
    let mut stage = Stage::idle_with(config);
    stage.formats(7);
    stage.wanted(100, "text/html");
    stage.done();
    answer(&mut stage);
    assert_eq!(stage.done().last().unwrap(), "refuse 100");
    stage.assert_idle();

    // It does not stand in the way of the next one.
    stage.wanted(101, "text/plain");
    stage.give(0, b"a\0\0\0");
    assert_eq!(stage.done().last().unwrap(), "answer 101 \"a\"");
    stage.assert_idle();
    stage
}

#[test]
fn what_the_host_cannot_give_is_refused_with_the_reason() {
    let config = Config { largest: crate::config::Size(1 << 20), ..Config::default() };
    let sized = |status, size| vec![(status, size)];
    let cases: [(Vec<(i32, u32)>, &str); 10] = [
        (sized(0, 0), "the host has none"),
        (sized(41, (4 << 20) + 3), "4194307 bytes are more than can become what is allowed"),
        (sized(41, u32::MAX), "4294967295 bytes are more than can become what is allowed"),
        (sized(-7153, 0), "the host's status is -7153"),
        (sized(-6, 0), "the host's status is -6"),
        (sized(-38, 0), "the host is set not to give it"),
        (
            vec![(41, 1 << 20), (-54, 0)],
            "1048576 bytes are more than the kernel's driver carries, which are 24 MiB",
        ),
        ((1..6).map(|times| (41, times * 100_000)).collect(), "its size never stays the same"),
        // The agent's buffer does not hold what the host says that it gave.
        (sized(0, 50_000), "only 0 bytes came of the 50000 that there are"),
        (vec![(41, 100_000), (0, 100_000)], "only 0 bytes came of the 100000 that there are"),
    ];
    for (answers, reason) in cases {
        let mut stage = pasted(config.clone(), |stage| {
            for (status, size) in &answers {
                stage.reply("DATA_READ", *status, vec![Value::Sent, Value::Buffer(*size), word(*size)]);
            }
        });
        assert_eq!(stage.said(Level::Warn, reason), 1, "{reason}: {:?}", stage.agent().lines);
    }
    let mut stage = pasted(config.clone(), |stage| stage.fail("DATA_READ", unavailable()));
    assert_eq!(stage.said(Level::Warn, "Unavailable: gone"), 1);
    let mut stage = pasted(config, |stage| stage.reply("DATA_READ", 0, vec![]));
    assert_eq!(stage.said(Level::Warn, "the host has none"), 1);
}

#[test]
fn a_host_that_cannot_give_it_now_is_asked_again_some_times() {
    let again = |stage: &mut Stage| {
        stage.reply("DATA_READ", status::TRY_AGAIN, vec![Value::Sent, Value::Buffer(0), word(0)])
    };
    let mut stage = Stage::idle();
    stage.formats(1);
    stage.wanted(100, "text/plain");
    for _ in 0..4 {
        again(&mut stage);
        assert_eq!(stage.waiting("DATA_READ"), 0);
        stage.pass(Duration::from_secs(2));
    }
    stage.give(0, b"a\0\0\0");
    assert_eq!(stage.done().last().unwrap(), "answer 100 \"a\"");
    stage.assert_idle();

    pasted(Config::default(), |stage| {
        for _ in 0..6 {
            again(stage);
            stage.pass(Duration::from_secs(2));
        }
        again(stage);
    });
}

#[test]
fn the_host_is_asked_for_one_thing_at_a_time_and_once_for_all_who_want_it() {
    let mut stage = Stage::idle();
    stage.formats(7);
    stage.done();
    stage.wanted(100, "text/plain");
    stage.wanted(101, "text/html");
    stage.wanted(102, "text/plain");
    assert_eq!(stage.done(), ["DATA_READ(1, room 65536, 0)"]);
    stage.give(0, b"a\0\0\0");
    assert_eq!(stage.done(), ["answer 100 \"a\"", "answer 102 \"a\"", "DATA_READ(4, room 65536, 0)"]);
    stage.give(0, b"b\0");
    assert_eq!(stage.done(), ["answer 101 \"b\""]);
    stage.assert_idle();
}

#[test]
fn a_picture_is_fetched_once_for_whoever_wants_it_as_what() {
    let mut stage = Stage::idle();
    stage.formats(2);
    stage.done();
    stage.wanted(100, "image/bmp");
    stage.wanted(101, "image/png");
    let dib = [&[40, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 24, 0][..], &[0; 24], &[1, 2, 3, 0]].concat();
    stage.give(0, &dib);
    let done = stage.done();
    assert_eq!(done[0], "DATA_READ(2, room 65536, 0)");
    assert!(done[1].starts_with("answer 100 \"BM"), "{done:?}");
    assert!(done[2].starts_with("answer 101 ") && done.len() == 3, "{done:?}");
    stage.assert_idle();
}

#[test]
fn what_cannot_be_converted_is_refused() {
    let mut stage = pasted(Config::default(), |stage| {
        stage.wanted(200, "image/png");
        stage.give(0, b"<p>\0");
        assert_eq!(stage.done()[..2], ["answer 100 \"<p>\"", "DATA_READ(2, room 65536, 0)"]);
        stage.give(0, b"no bitmap");
        stage.agent().done = vec!["refuse 100".into()];
    });
    assert_eq!(stage.said(Level::Warn, "cannot be pasted as image/png"), 1);
}

#[test]
fn what_is_not_offered_is_refused_at_once() {
    let mut stage = Stage::idle();
    stage.formats(1);
    stage.done();
    for format in ["text/html", "audio/ogg", "", "TEXT/PLAIN"] {
        stage.wanted(100, format);
        assert_eq!(stage.done(), ["refuse 100"], "{format}");
    }
    stage.assert_idle();
}

#[test]
fn no_more_is_wanted_at_once_than_a_bound() {
    let mut stage = Stage::idle();
    stage.formats(1);
    for token in 100..116 {
        stage.wanted(token, "text/plain");
    }
    stage.done();
    stage.wanted(116, "text/plain");
    assert_eq!(stage.done(), ["refuse 116"]);
    stage.give(0, b"\0\0");
    assert_eq!(stage.done().len(), 16);
    stage.assert_idle();
}

/// A restored machine's host knows nothing of the guest: everything is said again.
const ANEW: [&str; 4] = [
    "REPORT_FEATURES(1L, 9223372036854775808L)",
    "PEEK_NOWAIT(8L, 0)",
    "PEEK_WAIT(8L, 0)",
    "REPORT_FORMATS(1)",
];

#[test]
fn a_restored_machine_is_noticed_by_the_wait_and_the_host_is_told_anew() {
    let mut stage = Stage::idle();
    stage.copied(&["text/plain"]);
    stage.agent().session = 8;
    stage.reply("PEEK_WAIT", status::VM_RESTORED, vec![long(8), word(0)]);
    stage.catch_up();
    assert_eq!(stage.done(), ANEW);
    stage.reply("REPORT_FORMATS", 0, vec![Value::Sent]);

    // The event that says the same comes late, and changes nothing.
    stage.exchange.restored();
    assert_eq!(stage.done(), [""; 0]);
    stage.assert_idle();
}

#[test]
fn a_restored_machine_is_noticed_by_the_event_and_the_host_is_told_anew() {
    let mut stage = Stage::idle();
    stage.copied(&["text/plain"]);
    stage.agent().session = 8;
    stage.exchange.restored();
    assert_eq!(stage.done(), ["cancel PEEK_WAIT(7L, 0)", ANEW[0]]);
    stage.catch_up();
    assert_eq!(stage.done(), ANEW[1..]);
    stage.reply("REPORT_FORMATS", 0, vec![Value::Sent]);
    stage.assert_idle();
}

#[test]
fn a_wait_that_ended_is_ended_at_the_service_too_and_begun_again() {
    let errors = [
        Error::Host((-70, "VERR_CANCELLED".into())),
        Error::Host((-39, "VERR_INTERRUPTED".into())),
        Error::Host((-40, "VERR_TIMEOUT".into())),
        Error::Host((-138, "VERR_RESOURCE_BUSY".into())),
    ];
    for error in errors {
        for found in [0, 78] {
            let mut stage = Stage::idle();
            stage.fail("PEEK_WAIT", error.clone());
            stage.reply("CANCEL", found, vec![]);
            assert_eq!(stage.done(), ["CANCEL()", "PEEK_WAIT(7L, 0)"]);
            stage.assert_idle();
        }
    }
    let mut stage = Stage::idle();
    stage.reply("PEEK_WAIT", 52, vec![long(4), word(0)]);
    assert_eq!(stage.done(), ["PEEK_WAIT(7L, 0)"]);
}

#[test]
fn a_message_that_is_not_understood_is_skipped_by_its_parameters() {
    // A transfer, one of a newer host, and a known one that has grown.
    for id in [50, 53, 64, 66, 1000, u64::from(u32::MAX), 3] {
        let mut stage = Stage::idle();
        stage.reply("PEEK_WAIT", 0, vec![long(id), word(4)]);
        let kinds = [!4, !8, 0, 300].map(word);
        stage.reply("PEEK_NOWAIT", 0, [vec![long(id), word(4)], kinds.to_vec()].concat());
        stage.reply(
            "GET",
            0,
            vec![word(1), long(2), Value::Bytes((vec![], 0)), Value::Bytes((vec![0; 300], 300))],
        );
        assert_eq!(
            stage.done(),
            [
                "PEEK_NOWAIT(7L, 0, 0, 0, 0, 0)".to_owned(),
                format!("GET({id}, 0L, room 0, room 300)"),
                "PEEK_WAIT(7L, 0)".to_owned(),
            ]
        );
        stage.assert_idle();
    }
}

#[test]
fn a_message_that_cannot_be_skipped_makes_the_host_start_over() {
    let peeked = |id: u64, count: u32, size: u32| {
        let sizes = (0..count.min(30)).map(|_| word(size));
        [long(id), word(count)].into_iter().chain(sizes).collect::<Vec<_>>()
    };
    let told_anew = |stage: &mut Stage, name: &str| {
        assert_eq!(stage.done().last().unwrap(), "ERROR(0L, 4294967295)", "{name}");
        stage.reply("ERROR", 0, vec![Value::Sent; 2]);
        stage.catch_up();
        stage.assert_idle();
    };

    let mut stage = Stage::idle();
    stage.reply("PEEK_WAIT", 0, peeked(77, 31, 0)[..2].to_vec());
    told_anew(&mut stage, "more parameters than a call has");

    for size in [64 << 10, u32::MAX, !5] {
        let mut stage = Stage::idle();
        stage.reply("PEEK_WAIT", 0, vec![long(77), word(2)]);
        stage.reply("PEEK_NOWAIT", 0, peeked(77, 2, size));
        told_anew(&mut stage, "more bytes than there is room for");
    }

    let mut stage = Stage::idle();
    stage.reply("PEEK_WAIT", 0, vec![long(77), word(2)]);
    stage.reply("PEEK_NOWAIT", 0, vec![long(77), word(2)]);
    told_anew(&mut stage, "a host that does not say what the parameters are");

    for status in [-22415, -22416, -41, -225] {
        let mut stage = Stage::idle();
        stage.reply("PEEK_WAIT", 0, vec![long(3), word(2)]);
        stage.reply("GET", status, vec![word(0), word(0)]);
        stage.reply("PEEK_NOWAIT", 0, peeked(3, 2, !8));
        stage.reply("GET", status, vec![long(0), long(0)]);
        told_anew(&mut stage, "a message that is never given");
    }
}

#[test]
fn a_message_that_went_away_meanwhile_is_no_trouble() {
    for status in [status::MISMATCH, status::TRY_AGAIN, status::CANCELLED] {
        let mut stage = Stage::idle();
        stage.reply("PEEK_WAIT", 0, vec![long(3), word(2)]);
        stage.reply("GET", status, vec![word(0), word(0)]);
        assert_eq!(stage.done(), ["GET(3, 0)", "PEEK_WAIT(7L, 0)"]);
    }
}

#[test]
fn messages_of_nonsense_are_ignored() {
    let nonsense = [
        (3, vec![]),
        (3, vec![word(3)]),
        (3, vec![long(3), long(1)]),
        (5, vec![Value::Sent, word(1)]),
        (5, vec![long(1), Value::Sent]),
    ];
    for (id, values) in nonsense {
        let mut stage = Stage::idle();
        stage.reply("PEEK_WAIT", 0, vec![long(id), word(2)]);
        stage.reply("GET", 0, values);
        assert_eq!(stage.done()[1..], ["PEEK_WAIT(7L, 0)"]);
        stage.assert_idle();
    }
    let mut stage = Stage::idle();
    stage.reply("PEEK_WAIT", 0, vec![]);
    assert_eq!(stage.done(), ["disconnect"]);
}

#[test]
fn a_lost_connection_is_made_again_after_ever_longer_pauses() {
    let mut stage = Stage::idle();
    let mut pauses = Vec::new();
    for _ in 0..10 {
        stage.reply("PEEK_WAIT", -2905, vec![]);
        stage.done();
        let (_, due) = stage.next_timer().unwrap();
        let pause = due - stage.agent().now.get();
        pauses.push(pause.as_secs());
        stage.pass(pause);
        assert_eq!(stage.done()[0], "connect");
        stage.catch_up();
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);

    // One that lasted counts as new.
    stage.pass(Duration::from_secs(100));
    stage.reply("PEEK_WAIT", -2905, vec![]);
    let (_, due) = stage.next_timer().unwrap();
    assert_eq!((due - stage.agent().now.get()).as_secs(), 1);
}

#[test]
fn whatever_ends_a_connection_it_is_made_again() {
    let ends: [(&str, i32, Vec<Value>); 6] = [
        ("PEEK_WAIT", 0, vec![long(1), word(0)]),
        ("PEEK_WAIT", -4, vec![]),
        ("PEEK_WAIT", -363, vec![]),
        ("PEEK_WAIT", -22417, vec![]),
        ("PEEK_WAIT", -225, vec![]),
        ("PEEK_WAIT", -12, vec![]),
    ];
    for (name, status, values) in ends {
        let mut stage = Stage::idle();
        stage.formats(1);
        stage.done();
        stage.reply(name, status, values);
        let done = stage.done();
        // What cannot be delivered any more is not offered any more.
        assert_eq!(done[done.len() - 2..], ["disconnect", "withdraw"], "{status}");
        stage.wanted(100, "text/plain");
        stage.pass(Duration::from_secs(1));
        stage.catch_up();
        assert_eq!(stage.done()[..2], ["refuse 100", "connect"]);
        stage.assert_idle();
    }
}

#[test]
fn all_that_waits_for_a_lost_host_is_given_up() {
    let mut stage = Stage::idle();
    stage.formats(1);
    stage.wanted(100, "text/plain");
    stage.request(1, 1);
    stage.copied(&["text/html"]);
    stage.request(2, 4);
    stage.owned(Owner::Other, &["text/html"]);
    stage.done();
    stage.reply("PEEK_WAIT", -2905, vec![]);
    assert_eq!(stage.done(), ["disconnect", "refuse 100", "withdraw"]);
    assert!(!stage.exchange.guest.is_busy() && !stage.exchange.host.is_busy());

    // The owner's answer comes too late.
    stage.owner_gives(Ok(b"late"));
    assert_eq!(stage.done(), [""; 0]);
    stage.pass(Duration::from_secs(1));
    stage.catch_up();
    assert_eq!(stage.done().last().unwrap(), "REPORT_FORMATS(4)");
}

#[test]
fn a_host_without_the_service_is_left_alone_until_the_machine_is_restored() {
    let errors = [Error::Host((-2900, "VERR_HGCM_SERVICE_NOT_FOUND".into())), Error::Denied("hgcm".into())];
    for error in errors {
        let recorder = Recorder { session: 7, connecting: [error].into(), ..Recorder::default() };
        let mut stage = Stage::with(recorder, Config::default());
        stage.owned(Owner::Other, &["text/plain"]);
        assert!(stage.agent().timers.is_empty());
        assert_eq!(stage.said(Level::Error, "cannot be had"), 1);
        stage.done();
        stage.exchange.restored();
        stage.catch_up();
        assert_eq!(stage.done().last().unwrap(), "REPORT_FORMATS(1)");
    }
}

#[test]
fn a_host_that_cannot_be_connected_to_is_tried_again() {
    let recorder = Recorder { connecting: [unavailable(), unavailable()].into(), ..Recorder::default() };
    let mut stage = Stage::with(recorder, Config::default());
    stage.pass(Duration::from_secs(3));
    assert_eq!(stage.done()[1..4], ["connect"; 3]);
    stage.catch_up();
    stage.assert_idle();
}

#[test]
fn a_desktop_that_is_not_there_is_watched_when_it_is() {
    let recorder =
        Recorder { session: 7, watching: [unavailable(), unavailable()].into(), ..Recorder::default() };
    let mut stage = Stage::with(recorder, Config::default());
    stage.catch_up();
    stage.done();
    stage.pass(Duration::from_secs(10));
    assert_eq!(stage.done(), ["watch Clipboard", "watch Clipboard"]);
    stage.assert_idle();
}

/// What a host answers to a call, if anything: a status, and what the parameters have become.
type Answer<'a> = dyn Fn(&Call) -> Option<(i32, Vec<Value>)> + 'a;

/// A host that answers each call of a function always the same way, for an hour: how many calls that
/// were.
fn an_hour_with(stage: &mut Stage, answer: &Answer<'_>) -> usize {
    let end = stage.agent().now.get() + Duration::from_secs(3600);
    let mut calls = 0;
    loop {
        let next = stage.agent().calls.iter().find_map(|call| Some((call.token, answer(call)?)));
        if let Some((token, (status, values))) = next {
            stage.agent().calls.retain(|call| call.token != token);
            stage.exchange.completed(token, Ok(Completion { status, values }));
            calls += 1;
            assert!(calls < 1_000_000, "It spins");
            continue;
        }
        match stage.next_timer() {
            Some((_, due)) if due <= end => {
                let now = stage.agent().now.get();
                stage.pass(due.saturating_sub(now));
            }
            _ => break,
        }
    }
    stage.agent().now.set(end);
    calls
}

#[test]
fn no_host_makes_it_spin_and_a_host_that_comes_to_its_senses_is_heard() {
    use wire::function as f;
    let features = || (0, vec![long(1), long(0)]);
    let nothing = || (status::TRY_AGAIN, vec![long(0), word(0)]);
    let waits = |status: i32, values: Vec<Value>| -> Box<Answer<'static>> {
        Box::new(move |call| match call.function {
            f::REPORT_FEATURES => Some(features()),
            f::PEEK_NOWAIT => Some(nothing()),
            f::PEEK_WAIT => Some((status, values.clone())),
            f::CANCEL => Some((78, vec![])),
            _ => Some((0, vec![word(0), word(0), word(0)])),
        })
    };
    let hosts: Vec<(&str, Box<Answer<'static>>)> = vec![
        ("the same unknown message, which it does not give away", waits(0, vec![long(99), word(0)])),
        (
            "the same message, as if it were new",
            Box::new(move |call| match call.function {
                f::REPORT_FEATURES => Some(features()),
                f::PEEK_NOWAIT | f::PEEK_WAIT => Some((0, vec![long(3), word(2)])),
                _ => Some((0, vec![word(3), word(1)])),
            }),
        ),
        (
            "a message that cannot be taken",
            Box::new(move |call| match call.function {
                f::REPORT_FEATURES => Some(features()),
                f::PEEK_NOWAIT | f::PEEK_WAIT => Some((0, vec![long(3), word(2), word(!4), word(!4)])),
                f::GET => Some((-22416, vec![])),
                _ => Some((0, vec![])),
            }),
        ),
        (
            "a message that went away",
            Box::new(move |call| match call.function {
                f::REPORT_FEATURES => Some(features()),
                f::PEEK_NOWAIT | f::PEEK_WAIT => Some((0, vec![long(3), word(2)])),
                f::GET => Some((status::MISMATCH, vec![])),
                _ => Some((0, vec![])),
            }),
        ),
        (
            "requests without end",
            Box::new(move |call| match call.function {
                f::REPORT_FEATURES => Some(features()),
                f::PEEK_NOWAIT | f::PEEK_WAIT => Some((0, vec![long(5), word(2)])),
                f::GET => Some((0, vec![long(1), word(1)])),
                _ => Some((0, vec![])),
            }),
        ),
        ("no message", waits(0, vec![long(0), word(0)])),
        ("a wait that is over at once", waits(status::TRY_AGAIN, vec![long(0), word(0)])),
        ("a cancelled wait", waits(52, vec![long(4), word(0)])),
        ("an interrupted wait", waits(-39, vec![])),
        ("a busy service", waits(-138, vec![])),
        ("a restored machine, each time", waits(-1025, vec![long(8), word(0)])),
        ("the service's end", waits(0, vec![long(1), word(0)])),
        ("a lost connection", waits(-2905, vec![])),
        ("a failure", waits(-1, vec![])),
        ("no sense", waits(0, vec![])),
        (
            "an old host without an end",
            Box::new(|call| match call.function {
                f::OLD_GET_WAIT => Some((0, vec![word(77), word(0)])),
                _ => Some((-12, vec![])),
            }),
        ),
        ("nothing at all", Box::new(|_| Some((-37, vec![])))),
    ];
    for (name, answer) in hosts {
        let mut stage = Stage::begun(Config::default());
        let calls = an_hour_with(&mut stage, &answer);
        // Beside the messages that a host can keep.
        assert!(calls < 4 * 4096, "{name}: {calls} calls in an hour");
        stage.done();

        // Now it behaves, and has something to say.
        let is_told = Cell::new(false);
        let behaves = |call: &Call| match call.function {
            f::REPORT_FEATURES => Some(features()),
            f::PEEK_NOWAIT => Some(nothing()),
            f::PEEK_WAIT => (!is_told.get()).then(|| (0, vec![long(3), word(2)])),
            f::OLD_GET_WAIT => (!is_told.replace(true)).then(|| (0, vec![word(3), word(4)])),
            f::GET => {
                is_told.set(true);
                Some((0, vec![word(3), word(4)]))
            }
            _ => Some((0, vec![])),
        };
        an_hour_with(&mut stage, &behaves);
        assert!(stage.done().contains(&"offer text/html".to_owned()), "{name}");
        stage.assert_idle();
    }
}

#[test]
fn two_machines_that_take_over_each_others_content_get_slower_and_slower() {
    use wire::function as f;
    let mut stage = Stage::idle();
    let mut reports = 0;
    // Each report comes back as the host's own, and each offer is taken over in the guest.
    for _ in 0..60_000 {
        let answer = |call: &Call| match call.function {
            f::PEEK_WAIT => Some((0, vec![long(3), word(2)])),
            f::GET => Some((0, vec![word(3), word(1)])),
            f::REPORT_FORMATS => Some((0, vec![Value::Sent])),
            _ => None,
        };
        let next = stage.agent().calls.iter().find_map(|call| Some((call.token, answer(call)?)));
        if let Some((token, (status, values))) = next {
            stage.agent().calls.retain(|call| call.token != token);
            stage.exchange.completed(token, Ok(Completion { status, values }));
        } else if let Some((_, due)) = stage.next_timer() {
            let now = stage.agent().now.get();
            stage.pass(due.saturating_sub(now));
        }
        if stage.done().contains(&"offer text/plain".to_owned()) {
            stage.owned(Owner::Other, &["text/plain"]);
            reports += 1;
        }
        if stage.agent().now.get() > Duration::from_secs(3600) {
            break;
        }
    }
    assert!(stage.agent().now.get() > Duration::from_secs(3600), "{reports} reports");
    assert!(reports < 5000, "{reports} reports in an hour");
    assert!(stage.said(Level::Warn, "heard more seldom") > 0);
}

#[test]
fn without_the_focus_nothing_crosses_and_with_it_the_last_does() {
    let config = Config { only_with_focus: true, ..Config::default() };
    let mut stage = Stage::idle_with(config.clone());
    stage.formats(1);
    stage.copied(&["text/plain"]);
    stage.formats(1);
    stage.owned(Owner::Plugin, &[]);
    stage.done();
    stage.wanted(100, "text/plain");
    stage.exchange.focused(false);
    assert_eq!(
        stage.done(),
        ["DATA_READ(1, room 65536, 0)", "cancel DATA_READ(1, room 65536, 0)", "refuse 100"]
    );

    stage.wanted(101, "text/plain");
    assert_eq!(stage.done(), ["refuse 101"]);
    stage.owned(Owner::Other, &["text/html"]);
    assert_eq!(stage.done(), [""; 0], "the host is not told");
    stage.request(1, 4);
    assert_eq!(stage.done().last().unwrap(), r#"DATA_WRITE(1L, 4, "")"#);
    stage.reply("DATA_WRITE", 0, vec![Value::Sent; 3]);
    stage.exchange.focused(true);
    assert_eq!(stage.done(), ["REPORT_FORMATS(4)"]);
    stage.reply("REPORT_FORMATS", 0, vec![Value::Sent]);
    stage.assert_idle();

    // The host was last.
    stage.exchange.focused(false);
    stage.owned(Owner::Other, &["text/html"]);
    stage.formats(1);
    assert!(!stage.done().iter().any(|done| done.starts_with("offer")));
    stage.exchange.focused(true);
    assert_eq!(stage.done(), ["offer text/plain"]);

    // The guest was last.
    stage.exchange.focused(false);
    stage.formats(1);
    stage.owned(Owner::Other, &["text/html"]);
    stage.done();
    stage.exchange.focused(true);
    assert_eq!(stage.done(), ["REPORT_FORMATS(4)"]);
}

#[test]
fn what_is_being_read_when_the_session_is_locked_is_answered_with_nothing() {
    let mut stage = Stage::idle_with(Config { not_while_locked: true, ..Config::default() });
    stage.copied(&["text/plain"]);
    stage.request(9, 1);
    stage.exchange.locked(true);
    assert_eq!(stage.done().last().unwrap(), r#"DATA_WRITE(9L, 1, "")"#);
    stage.owner_gives(Ok(b"secret"));
    assert_eq!(stage.done(), [""; 0]);
    stage.reply("DATA_WRITE", 0, vec![Value::Sent; 3]);
    stage.exchange.locked(false);
    stage.assert_idle();
}

#[test]
fn focus_and_lock_do_not_matter_unless_it_is_configured() {
    let mut stage = Stage::idle();
    stage.exchange.focused(false);
    stage.exchange.locked(true);
    stage.owned(Owner::Other, &["text/plain"]);
    assert_eq!(stage.done(), ["REPORT_FORMATS(1)"]);
}

#[test]
fn what_never_ends_is_given_up_and_said_and_the_rest_goes_on() {
    let minute = Duration::from_secs(60);

    let mut stage = Stage::idle();
    stage.owned(Owner::Other, &["text/plain"]);
    stage.pass(minute);
    assert_eq!(stage.done(), ["REPORT_FORMATS(1)", "cancel REPORT_FORMATS(1)", "REPORT_FORMATS(1)"]);
    assert_eq!(stage.said(Level::Warn, "No answer ever came"), 1);
    stage.reply("REPORT_FORMATS", 0, vec![Value::Sent]);
    stage.assert_idle();

    stage.formats(1);
    stage.owned(Owner::Plugin, &[]);
    stage.wanted(100, "text/plain");
    stage.done();
    stage.pass(minute);
    assert_eq!(stage.done(), ["cancel DATA_READ(1, room 65536, 0)", "refuse 100"]);
    stage.assert_idle();
    stage.wanted(101, "text/plain");
    stage.give(0, b"\0\0");
    stage.assert_idle();

    stage.request(1, 1);
    stage.pass(minute);
    assert_eq!(stage.said(Level::Warn, "to what it was given"), 1);
    stage.agent().calls.retain(|call| call.function != wire::function::DATA_WRITE);
    stage.assert_idle();

    stage.reply("PEEK_WAIT", 0, vec![long(3), word(2)]);
    stage.done();
    stage.pass(minute);
    assert_eq!(stage.done()[..3], ["cancel GET(3, 0)", "disconnect", "withdraw"]);
    assert_eq!(stage.said(Level::Warn, "no answer ever came to Get"), 1);
    stage.catch_up();
    stage.assert_idle();
}

#[test]
fn the_watchdog_is_there_only_while_something_is_under_way() {
    let mut stage = Stage::idle();
    stage.owned(Owner::Other, &["text/plain"]);
    assert_eq!(stage.agent().timers.len(), 1);
    stage.pass(Duration::from_secs(20));
    assert_eq!(stage.agent().timers.len(), 1, "it is set again");
    stage.reply("REPORT_FORMATS", 0, vec![Value::Sent]);
    stage.assert_idle();
}

#[test]
fn large_content_is_converted_in_slices_and_does_not_hold_up_what_is_small() {
    let mut stage = Stage::idle();
    stage.copied(&["text/html", "text/plain"]);
    stage.request(1, 4);
    stage.request(2, 1);
    stage.done();
    // Each step takes 10 ms.
    stage.agent().tick = Duration::from_millis(10);
    stage.owner_gives(Ok(&vec![b'x'; 5 << 20]));
    assert_eq!(stage.done(), [""; 0]);
    stage.owner_gives(Ok(b"small"));
    let mut slices = 0;
    while stage.waiting("DATA_WRITE") < 2 {
        let (timer, _) = stage.next_timer().unwrap();
        stage.agent().timers.remove(&timer);
        let before = stage.agent().now.get();
        stage.exchange.fired(timer);
        let took = stage.agent().now.get() - before;
        assert!(took < Duration::from_millis(150), "{took:?} in one call");
        slices += 1;
    }
    assert!(slices >= 5, "{slices} slices");
    let done = stage.done();
    assert_eq!(
        done,
        [r#"DATA_WRITE(2L, 1, "s\x00m\x00a\x00l\x00l\x00\x00\x00")"#, "DATA_WRITE(1L, 4, 5242881 bytes)"]
    );
}

#[test]
fn what_takes_long_to_convert_is_delivered_late() {
    let mut stage = Stage::idle();
    stage.copied(&["text/plain"]);
    stage.request(9, 1);
    stage.done();
    stage.agent().tick = Duration::from_millis(60);
    stage.owner_gives(Ok(&vec![b'x'; 20 << 20]));
    while stage.waiting("DATA_WRITE") == 0 {
        let (timer, due) = stage.next_timer().unwrap();
        stage.agent().timers.remove(&timer);
        let now = due.max(stage.agent().now.get());
        stage.agent().now.set(now);
        stage.exchange.fired(timer);
    }
    assert!(stage.agent().now.get() > Duration::from_secs(5));
    assert_eq!(stage.done(), ["DATA_WRITE(9L, 1, 41943042 bytes)"]);
}

#[test]
fn a_host_that_never_stays_the_same_size_may_still_be_right_in_the_end() {
    let mut stage = Stage::idle();
    stage.formats(4);
    stage.wanted(100, "text/html");
    for size in [70_000, 80_000, 90_000] {
        stage.give(41, &vec![b'x'; size]);
    }
    stage.give(0, b"x\0");
    assert_eq!(stage.done().last().unwrap(), "answer 100 \"x\"");
}
