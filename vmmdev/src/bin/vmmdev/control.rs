//! The control protocol: a line of words in, a line of JSON out.
//!
//! The answer is `{"ok": ...}` or `{"error": "..."}`. A client may say one line after the other.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, mpsc};

use anyhow::{Context, Result};
use serde::Serialize;
use vmmdev::words::{Answer, Console, MAX_LINE};

/// How many clients are served at a time.
const MOST_CLIENTS: usize = 32;

/// What a line gets.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Reply {
    Ok(Answer),
    Error(String),
}

/// Serves clients for ever. `ended` is told when one of them says `quit`.
pub(super) fn serve(listener: &UnixListener, console: &Arc<Console>, ended: &mpsc::Sender<Result<()>>) {
    // Each client holds one of these; so they are counted.
    let client = Arc::new(());
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => {
                // When nobody waits any more, the process is ending already.
                let _ = ended.send(Err(error).context("Cannot accept a client for words"));
                return;
            }
        };
        if Arc::strong_count(&client) > MOST_CLIENTS {
            let busy = Reply::Error(format!("{MOST_CLIENTS} clients are served already; come back later"));
            let _ = reply(&stream, &busy);
            continue;
        }
        let (client, console, ended) = (client.clone(), console.clone(), ended.clone());
        let thread = std::thread::Builder::new().name("client".to_owned()).spawn(move || {
            if let Err(error) = converse(&stream, &console, &ended) {
                tracing::debug!(%error, "Client left in the middle of a word");
            }
            drop(client);
        });
        if let Err(error) = thread {
            tracing::warn!(%error, "Cannot serve a client");
        }
    }
}

fn converse(stream: &UnixStream, console: &Console, ended: &mpsc::Sender<Result<()>>) -> io::Result<()> {
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        // One byte for the end of the line, and one that tells a line that is too long.
        lines.by_ref().take(MAX_LINE as u64 + 2).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        if line.trim_ascii_end().len() > MAX_LINE {
            return reply(stream, &Reply::Error(format!("A line has at most {MAX_LINE} bytes")));
        }
        let answer = match std::str::from_utf8(&line) {
            Ok(line) => console.say(line).map_err(|refused| refused.to_string()),
            Err(_) => Err("A line is UTF-8".to_owned()),
        };
        let quit = matches!(answer, Ok(Answer::Quit {}));
        reply(stream, &answer.map_or_else(Reply::Error, Reply::Ok))?;
        if quit {
            let _ = ended.send(Ok(()));
            return Ok(());
        }
    }
}

fn reply(mut stream: &UnixStream, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    stream.write_all(&line)
}
