//! The header of every ioctl, and the two ways in which one can fail.

use nix::errno::Errno;

use crate::Error;
use crate::wire::{RequestHeader, RequestType, Status};

/// The length of the header that every buffer begins with. It is a request's header, in which the
/// reserved field is the size of the answer.
pub(super) const HEADER: usize = size_of::<RequestHeader>();

/// The header of an ioctl that is not a request to the host: its type is 0.
///
/// The status is preset to a failure, as VirtualBox's own library does.
pub(super) fn header(size_in: usize, size_out: usize) -> RequestHeader {
    let mut header = RequestHeader::new(RequestType(0), size_in as u32);
    header.reserved.set(size_out as u32);
    header.rc.set(Status::INTERNAL_ERROR.0);
    header
}

/// Why an ioctl failed. There are two channels, and only the second one brings an answer with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The kernel's driver did not carry it out; the buffer is as it was.
    Refused(Errno),
    /// It was carried out, and this status, a failure, stands in its header.
    Answered(Status),
}

impl Fault {
    /// The fault as a VBox status, whichever channel it came by.
    pub(super) fn status(self) -> Status {
        match self {
            Self::Answered(status) => status,
            Self::Refused(errno) => status_of(errno),
        }
    }

    /// Whether the device behind the node is gone, so that only opening it again can help.
    pub(super) fn is_gone(self) -> bool {
        matches!(self, Self::Refused(Errno::ENODEV | Errno::ENXIO))
    }

    /// The fault as an error of `doing`, which tells the channels apart.
    pub(super) fn error(self, doing: &str) -> Error {
        match self {
            Self::Answered(status) => Error::new(doing.to_owned(), status),
            Self::Refused(_) if self.is_gone() => {
                Error::new(format!("{doing} (the device is gone)"), self.status())
            }
            Self::Refused(errno) => {
                Error::new(format!("{doing} (the kernel's driver says {errno})"), self.status())
            }
        }
    }
}

/// What the kernel's driver had in mind: its own conversion of statuses, backwards.
fn status_of(errno: Errno) -> Status {
    match errno {
        Errno::EPERM | Errno::EACCES => Status::PERMISSION_DENIED,
        Errno::ENOENT => Status::FILE_NOT_FOUND,
        Errno::EINTR => Status::INTERRUPTED,
        Errno::E2BIG => Status::TOO_MUCH_DATA,
        Errno::EBADF => Status::INVALID_HANDLE,
        Errno::EAGAIN => Status::TRY_AGAIN,
        Errno::ENOMEM => Status::NO_MEMORY,
        Errno::EFAULT => Status::INVALID_POINTER,
        Errno::EBUSY => Status::RESOURCE_BUSY,
        Errno::EEXIST => Status::ALREADY_EXISTS,
        Errno::ENOTDIR => Status::PATH_NOT_FOUND,
        Errno::EINVAL => Status::INVALID_PARAMETER,
        Errno::ENOSYS | Errno::ENOTTY => Status::NOT_SUPPORTED,
        Errno::ETIMEDOUT => Status::TIMEOUT,
        Errno::ENODATA => Status::NO_DATA,
        Errno::EMFILE => Status::HGCM_TOO_MANY_CLIENTS,
        Errno::ENODEV | Errno::ENXIO => Status::INVALID_STATE,
        _ => Status::GENERAL_FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_channels_are_told_apart_in_words() {
        let refused = Fault::Refused(Errno::EBUSY).error("acquire guest capabilities");
        let answered = Fault::Answered(Status::RESOURCE_BUSY).error("acquire guest capabilities");

        assert_eq!(refused.status, answered.status);
        assert_eq!(
            refused.to_string(),
            "Cannot acquire guest capabilities (the kernel's driver says EBUSY: Device or resource busy): \
             VERR_RESOURCE_BUSY (-138)"
        );
        assert_eq!(answered.to_string(), "Cannot acquire guest capabilities: VERR_RESOURCE_BUSY (-138)");
    }

    #[test]
    fn every_errno_comes_to_a_failure() {
        for code in 1..134 {
            assert!(status_of(Errno::from_raw(code)).is_failure(), "{code}");
        }
    }
}
