//! A line for the host's log (request 200). Only debug hosts keep it.

use super::packet::{check_total, split, start, text};
use super::{Malformed, RequestType};

/// The length of the request before its text, in bytes.
const HEAD: usize = 24;
/// The least length of the whole request, in bytes.
const LEAST: usize = 28;

/// A request 200.
///
/// # Errors
/// [`Malformed`] when the line has a zero byte inside or does not fit a request.
pub fn request(line: &str) -> Result<Vec<u8>, Malformed> {
    if line.contains('\0') {
        return Err(Malformed::NotText { what: "A log line" });
    }
    let size = (HEAD + line.len() + 1).max(LEAST);
    check_total("A log line in bytes", size)?;
    let mut packet = start(RequestType::LOG_STRING, size);
    packet.extend_from_slice(line.as_bytes());
    packet.resize(size, 0);
    Ok(packet)
}

/// Reads a request 200.
///
/// # Errors
/// [`Malformed`] when the text is not terminated or not UTF-8.
pub fn parse(packet: &[u8]) -> Result<&str, Malformed> {
    let (_, line) = split(packet, HEAD, RequestType::LOG_STRING, "A log line")?;
    text(line, "A log line")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_survive_the_wire_and_take_at_least_28_bytes() {
        for (line, size) in [("", 28), ("abc", 28), ("abcd", 29), ("größer", 33)] {
            let packet = request(line).expect("fits");

            assert_eq!(packet.len(), size);
            assert_eq!(parse(&packet), Ok(line));
        }
    }

    #[test]
    fn text_without_an_end_is_refused() {
        let mut packet = request("abcd").expect("fits");
        packet.pop();
        assert_eq!(parse(&packet), Err(Malformed::NotText { what: "A log line" }));
        assert!(request("a\0b").is_err());
    }
}
