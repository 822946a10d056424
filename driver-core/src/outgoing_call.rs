//! What every driver holds an HGCM call against before it leaves.

use crate::wire::Status;
use crate::{Error, HgcmParameter, Result};

/// The most HGCM clients of one session.
pub(crate) const MOST_CLIENTS: usize = 64;

/// The most parameters of a call.
pub(crate) const MOST_PARAMETERS: usize = 32;

/// The most bytes that a host takes with a call (`VMMDEV_MAX_HGCM_DATA_SIZE`).
pub(crate) const MOST_DATA: usize = 128 << 20;

/// The most bytes of a service's name, without the zero that ends it.
const LONGEST_NAME: usize = 127;

/// A service of the host that exists already, as a kind of location.
pub(crate) const LOCALHOST_EXISTING: u32 = 2;

/// A service's name as it goes out.
pub(crate) fn name(service: &str) -> Result<[u8; 128]> {
    let bytes = service.as_bytes();
    if bytes.len() > LONGEST_NAME || bytes.is_empty() || bytes.contains(&0) {
        return Err(Error::new(
            format!("connect to an HGCM service (a name is 1 to {LONGEST_NAME} bytes, none of them zero)"),
            Status::INVALID_PARAMETER,
        ));
    }
    let mut name = [0; 128];
    name[..bytes.len()].copy_from_slice(bytes);
    Ok(name)
}

/// Refuses parameters that nobody has room for, or one that is longer than `largest` bytes.
pub(crate) fn check(doing: &str, parameters: &[HgcmParameter], largest: usize) -> Result<()> {
    let refused = |why: String, status| Err(Error::new(format!("{doing} with {why}"), status));
    if parameters.len() > MOST_PARAMETERS {
        let why = format!("{} parameters (at most {MOST_PARAMETERS})", parameters.len());
        return refused(why, Status::TOO_MUCH_DATA);
    }
    let longest = parameters.iter().map(|parameter| parameter.bytes().len()).max().unwrap_or(0);
    if longest > largest {
        let why = format!("a parameter of {longest} bytes (at most {largest})");
        return refused(why, Status::OUT_OF_RANGE);
    }
    let total: usize = parameters.iter().map(|parameter| parameter.bytes().len()).sum();
    if total > MOST_DATA {
        let why = format!("{total} bytes of parameters (at most {MOST_DATA})");
        return refused(why, Status::TOO_MUCH_DATA);
    }
    Ok(())
}
