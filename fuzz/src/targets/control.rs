//! What clients say at the control socket.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bellhop_agent::control::Control;
use bellhop_agent::control::protocol::{Ask, LONGEST_REQUEST, Reply, Request, VERSION};
use bellhop_agent::control::status::Facts;
use bellhop_agent::observe::Board;
use bellhop_agent::sandbox::engine;
use tempfile::TempDir;

use super::Target;

pub const TARGET: Target = Target {
    name: "control",
    about: "requests to the control socket, and the server that answers them",
    run,
    seeds,
    tries: 4_000,
};

/// What is said in one connection, in bytes: it need not be more to be too much.
const MOST_SAID: usize = 2 * LONGEST_REQUEST;

/// How long a server may be silent that owes an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The server is one for all that is said, as in an agent.
static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

struct Server {
    folder: TempDir,
    _control: Control,
}

fn run(bytes: &[u8]) {
    let said = bytes.get(..MOST_SAID).unwrap_or(bytes);
    let mut owed = 0;
    for line in said.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        owed += 1;
        let Ok(request) = Request::parse(line) else { continue };
        let again = serde_json::to_vec(&request).expect("a request can be written");
        assert_eq!(Request::parse(&again).as_ref(), Ok(&request));
        // What is said after that is not heard.
        if matches!(request.ask, Ask::Trace { plugins } if plugins.is_empty()) {
            break;
        }
    }
    let replies = SERVER.replies(said);
    assert!(replies.iter().all(|reply| reply.bellhop == VERSION));
    // A line that is too long ends the connection; what came before it is answered.
    let too_long = said.split(|byte| *byte == b'\n').any(|line| line.len() >= LONGEST_REQUEST);
    assert!(replies.len() == owed || too_long, "{} replies of {owed}", replies.len());
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let facts = Facts {
            version: "fuzz".to_owned(),
            process: std::process::id(),
            driver: "none".to_owned(),
            engine: engine::Target::default(),
            desktop: "none".to_owned(),
            config: "none".to_owned(),
        };
        let reload = Arc::new(|| Err("There is no configuration file".to_owned()));
        let path = folder.path().join("control.sock");
        let control = Control::start(&path, facts, Board::new(Instant::now()), reload);
        Self { folder, _control: control.expect("the socket is served") }
    }

    /// All that is answered to a client that says this and has no more to say.
    fn replies(&self, said: &[u8]) -> Vec<Reply> {
        let mut stream = UnixStream::connect(self.folder.path().join("control.sock")).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        // The server may have closed the connection by then.
        let _ = stream.write_all(said).and_then(|()| stream.shutdown(Shutdown::Write));
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        assert!(read.is_ok() || !answer.is_empty() || said.len() > LONGEST_REQUEST, "not answered: {read:?}");
        let lines = answer.split_inclusive(|byte| *byte == b'\n');
        lines.map(|line| serde_json::from_slice(line).expect("a reply")).collect()
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let requests = [
        r#"{"bellhop":1,"ask":"status"}"#,
        r#"{"bellhop":1,"ask":"reload"}"#,
        r#"{"bellhop":1,"ask":{"record":{"plugins":["display"],"contents":true}}}"#,
        r#"{"bellhop":1,"ask":{"trace":{"plugins":["display","clipboard"]}}}"#,
        r#"{"bellhop":1,"ask":{"trace":{}}}"#,
    ];
    let all = requests.map(|request| format!("{request}\n")).concat();
    let mut seeds = Vec::from(requests.map(|request| request.as_bytes().to_vec()));
    seeds.push(all.into_bytes());
    // Behind one that takes a while: one that lacks its end, and more than a request may be long.
    seeds.push([requests[1], requests[0]].join("\n").into_bytes());
    seeds.push([requests[1], &[requests[0]; 600].join("\n")].join("\n").into_bytes());
    seeds.push(vec![b'['; LONGEST_REQUEST - 1]);
    seeds.push(vec![b' '; LONGEST_REQUEST + 1]);
    seeds
}
