//! What happened to a user of the guest (request 74).

use super::packet::{split, start, text, word};
use super::{GuestUserState, Malformed, RequestType};

/// The length of the request before its strings, in bytes.
const HEAD: usize = 40;
/// The least length of the whole request, in bytes.
const LEAST: usize = 44;
/// The largest length of the whole request, in bytes.
const MOST: usize = 2048;
/// The largest length of user and domain, their terminating zero included, in bytes.
pub const MAX_NAME: usize = 256;
/// The largest length of the details, in bytes.
pub const MAX_DETAILS: usize = 1024;

/// What a request 74 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserState {
    /// What happened.
    pub state: GuestUserState,
    /// To whom; not empty.
    pub user: String,
    /// Of which domain; may be empty.
    pub domain: String,
    /// More about it, in a form that depends on the state.
    pub details: Vec<u8>,
}

fn limited(what: &'static str, found: usize, limit: usize) -> Result<(), Malformed> {
    if found > limit { Err(Malformed::TooLarge { what, limit, found }) } else { Ok(()) }
}

/// A request 74.
///
/// # Errors
/// [`Malformed`] when a part is too long or a name has a zero byte inside.
pub fn request(user_state: &UserState) -> Result<Vec<u8>, Malformed> {
    let UserState { state, user, domain, details } = user_state;
    for (what, name) in [("A user's name", user), ("A user's domain", domain)] {
        limited(what, name.len() + 1, MAX_NAME)?;
        if name.contains('\0') {
            return Err(Malformed::NotText { what });
        }
    }
    limited("A user state's details", details.len(), MAX_DETAILS)?;
    let lengths = [user.len() + 1, domain.len() + 1, details.len()];
    let size = (HEAD + lengths.iter().sum::<usize>()).max(LEAST);
    let mut packet = start(RequestType::REPORT_GUEST_USER_STATE, size);
    packet.extend_from_slice(&state.0.to_le_bytes());
    for length in lengths {
        packet.extend_from_slice(&(length as u32).to_le_bytes());
    }
    for name in [user, domain] {
        packet.extend_from_slice(name.as_bytes());
        packet.push(0);
    }
    packet.extend_from_slice(details);
    packet.resize(size, 0);
    Ok(packet)
}

/// Reads a request 74.
///
/// # Errors
/// [`Malformed`] when a length is over its limit or the strings are not where the lengths say.
pub fn parse(packet: &[u8]) -> Result<UserState, Malformed> {
    let what = "A user state";
    let (head, strings) = split(packet, HEAD, RequestType::REPORT_GUEST_USER_STATE, what)?;
    limited(what, packet.len(), MOST)?;
    let [user, domain, details] = [28, 32, 36].map(|offset| word(head, offset) as usize);
    limited("A user's name", user, MAX_NAME)?;
    limited("A user's domain", domain, MAX_NAME)?;
    limited("A user state's details", details, MAX_DETAILS)?;
    let needed = user + domain + details;
    if strings.len() < needed {
        return Err(Malformed::TooShort { what, needed: HEAD + needed, found: packet.len() });
    }
    let (user, rest) = strings.split_at(user);
    let (domain, rest) = rest.split_at(domain);
    Ok(UserState {
        state: GuestUserState(word(head, 24)),
        user: text(user, "A user's name")?.to_owned(),
        domain: if domain.is_empty() { "" } else { text(domain, "A user's domain")? }.to_owned(),
        details: rest[..details].to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(user: &str, domain: &str, details: &[u8]) -> UserState {
        UserState {
            state: GuestUserState::IDLE,
            user: user.to_owned(),
            domain: domain.to_owned(),
            details: details.to_vec(),
        }
    }

    #[test]
    fn a_report_survives_the_wire() {
        for report in [idle("jöran", "example.org", &[1, 2, 3]), idle("a", "", &[])] {
            let packet = request(&report).expect("fits");

            assert!(packet.len() >= 44);
            assert_eq!(parse(&packet), Ok(report));
        }
    }

    #[test]
    fn names_have_at_most_256_bytes_with_their_zero_and_details_1024() {
        assert!(request(&idle(&"u".repeat(255), &"d".repeat(255), &[0; 1024])).is_ok());
        assert!(request(&idle(&"u".repeat(256), "", &[])).is_err());
        assert!(request(&idle("u", &"d".repeat(256), &[])).is_err());
        assert!(request(&idle("u", "", &[0; 1025])).is_err());
    }

    #[test]
    fn lengths_that_leave_the_packet_are_refused() {
        let packet = request(&idle("user", "domain", &[7; 8])).expect("fits");
        for offset in [28, 32, 36] {
            for length in [200u32, 257, 1025, u32::MAX] {
                let mut packet = packet.clone();
                packet[offset..offset + 4].copy_from_slice(&length.to_le_bytes());
                assert!(parse(&packet).is_err(), "{length} at {offset}");
            }
        }
        assert!(parse(&packet[..43]).is_err());
    }
}
