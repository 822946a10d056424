//! Commands in the guest, over its second serial line. `init.sh` is the other end.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// What the guest's terminal takes at once: more could be lost.
const LONGEST_LINE: usize = 4000;

/// So much of a file is fetched at once. Of a long answer a byte is lost more easily than of a short one.
const PIECE: usize = 16 << 10;

/// A command is said again when there was no answer for so long: the line loses bytes now and then.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(3);

/// The console, before the machine has connected to it.
#[derive(Debug)]
pub struct Listener(UnixListener);

/// The host's end of the serial line.
#[derive(Debug)]
pub struct Console {
    line: UnixStream,
    unread: Vec<u8>,
    commands: u32,
}

/// What a command in the guest came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its exit status, as a shell counts: 137 is what was killed, by the time-out too.
    pub status: i32,
    /// What it wrote, to stdout and stderr.
    pub text: String,
}

impl Listener {
    /// Listens for the machine.
    pub fn bind(socket: &Path) -> anyhow::Result<Self> {
        let listener =
            UnixListener::bind(socket).with_context(|| format!("Listening at {}", socket.display()))?;
        listener.set_nonblocking(true).context("Preparing the console's socket")?;
        Ok(Self(listener))
    }

    /// The console, once the machine has connected.
    pub fn accept(&self) -> anyhow::Result<Option<Console>> {
        let line = match self.0.accept() {
            Ok((line, _)) => line,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error).context("Waiting for the machine's serial line"),
        };
        line.set_nonblocking(false).context("Preparing the console")?;
        line.set_read_timeout(Some(Duration::from_millis(100))).context("Preparing the console")?;
        line.set_write_timeout(Some(Duration::from_secs(10))).context("Preparing the console")?;
        Ok(Some(Console { line, unread: Vec::new(), commands: 0 }))
    }
}

impl Console {
    /// The next line that starts with a word, if it came before a short while has passed.
    pub fn poll(&mut self, word: &str) -> anyhow::Result<Option<String>> {
        loop {
            while let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                if let Some(rest) = line.trim_end_matches(['\r', '\n']).strip_prefix(word) {
                    return Ok(Some(rest.trim_start().to_owned()));
                }
            }
            let mut bytes = [0; 4096];
            match self.line.read(&mut bytes) {
                Ok(0) => bail!("the machine has closed its serial line"),
                Ok(count) => self.unread.extend(&bytes[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(error) => return Err(error).context("Reading the machine's serial line"),
            }
        }
    }

    /// Runs a script in the guest.
    pub fn run(&mut self, script: &str, limit: Duration) -> anyhow::Result<Answer> {
        let (status, output) = self.ask(script, limit)?;
        Ok(Answer { status, text: String::from_utf8_lossy(&output).into_owned() })
    }

    /// The bytes of a file of the guest.
    pub fn fetch(&mut self, file: &str, limit: Duration) -> anyhow::Result<Vec<u8>> {
        let mut content = Vec::new();
        loop {
            let piece = format!("tail -c +{} {file} | head -c {PIECE}", content.len() + 1);
            let (status, output) = self.ask(&piece, limit)?;
            if status != 0 {
                bail!("the guest cannot read {file}: {}", String::from_utf8_lossy(&output).trim_end());
            }
            content.extend(&output);
            if output.len() < PIECE {
                return Ok(content);
            }
        }
    }

    /// What a script came to in the guest: its exit status, and what it wrote.
    fn ask(&mut self, script: &str, limit: Duration) -> anyhow::Result<(i32, Vec<u8>)> {
        self.commands += 1;
        let command = format!("{} {} {}", self.commands, limit.as_secs().max(1), encode(script.as_bytes()));
        // What is left of a line that lost its end is no part of this one.
        let line = format!("\nrun {} {command}\n", command.len());
        if line.len() > LONGEST_LINE {
            bail!(
                "a command of {} bytes is too long for the console: make it a file of the guest",
                script.len()
            );
        }
        // The guest's own time-out comes first, unless the guest hangs.
        let end = Instant::now() + limit + Duration::from_secs(10);
        let mark = format!("{} ", self.commands);
        let mut said: Option<Instant> = None;
        while Instant::now() < end {
            if said.is_none_or(|said| said.elapsed() > SAID_AGAIN_AFTER) {
                self.line.write_all(line.as_bytes()).context("Writing to the machine's serial line")?;
                said = Some(Instant::now());
            }
            let reply = self.poll("reply")?;
            // One that lost a part comes again, as the answer to the command that is said again.
            let whole = reply.as_deref().and_then(whole);
            if let Some(reply) = whole.and_then(|reply| reply.strip_prefix(&mark)) {
                let (status, text) = reply.split_once(' ').unwrap_or((reply, ""));
                let status = status.parse().with_context(|| format!("The guest answered {reply:?}"))?;
                return Ok((status, decode(text)));
            }
        }
        bail!("the guest has not answered within {} s: {script}", limit.as_secs() + 10)
    }
}

/// What a line holds after its length, when that is right.
fn whole(line: &str) -> Option<&str> {
    let (length, rest) = line.split_once(' ')?;
    (length.parse() == Ok(rest.len())).then_some(rest)
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64, which survives a terminal.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0, |group, at| group << 8 | u32::from(*chunk.get(at).unwrap_or(&0)));
        for digit in 0..4 {
            let value = (group >> (18 - 6 * digit)) as usize & 63;
            let _ = text.write_char(if digit <= chunk.len() { char::from(DIGITS[value]) } else { '=' });
        }
    }
    text
}

fn decode(text: &str) -> Vec<u8> {
    let values = text.bytes().filter_map(|digit| DIGITS.iter().position(|&d| d == digit));
    let (mut bytes, mut group, mut bits) = (Vec::new(), 0_usize, 0);
    for value in values {
        group = (group << 6 | value) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((group >> bits) as u8);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_lost_a_part_is_told_from_a_whole_one() {
        assert_eq!(whole("8 12 0 Zm9v"), None);
        assert_eq!(whole("9 12 0 Zm9v"), Some("12 0 Zm9v"));
        assert_eq!(whole("5 12 0"), None);
        assert_eq!(whole("Zm9v"), None);
    }

    #[test]
    fn base64_is_what_others_mean_by_it() {
        for (plain, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob\n", "Zm9vYgo=")]
        {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decode(text), plain.as_bytes());
        }
    }
}
