//! What the kernel's driver would refuse: said here, by name, where an errno says neither the request
//! nor the remedy.

use std::path::Path;

use super::NODES;
use crate::wire::{Permission, RequestType, Status};
use crate::{Error, Result};

/// Holds a type of request against the driver's table of permissions, for the node at `path`.
pub(super) fn check(request: RequestType, path: &Path, for_users: bool) -> Result<()> {
    let refused = |why: &str, status| {
        Err(Error::new(format!("submit {request} through {} ({why})", path.display()), status))
    };
    match request.spec().map(|spec| spec.permission) {
        Some(Permission::User) => Ok(()),
        Some(Permission::Trusted) if !for_users => Ok(()),
        Some(Permission::Trusted) => {
            refused(&format!("it is carried by {} alone", NODES[0]), Status::PERMISSION_DENIED)
        }
        Some(Permission::Kernel) => {
            refused("it is the kernel's driver's own to make", Status::PERMISSION_DENIED)
        }
        Some(Permission::Never) => {
            refused("it is not made as a packet from user space", Status::PERMISSION_DENIED)
        }
        None if request == RequestType(0) => refused("no request has this type", Status::INVALID_PARAMETER),
        None => refused("the kernel's driver does not know it", Status::PERMISSION_DENIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(path: &str, for_users: bool) -> Vec<u32> {
        (0..256).filter(|number| check(RequestType(*number), Path::new(path), for_users).is_ok()).collect()
    }

    // As kernels 6.1, 6.12 and 7.3 were seen to answer.
    #[test]
    fn each_node_carries_what_the_kernel_s_driver_was_seen_to_allow() {
        let users = [
            1, 2, 3, 4, 5, 10, 30, 41, 42, 51, 52, 53, 54, 57, 59, 70, 71, 72, 73, 80, 81, 150, 200, 217, 222,
        ];
        let trusted = [55, 74, 100, 101, 110, 112, 210, 211, 212, 213, 214, 215, 216, 218];

        assert_eq!(admitted("/dev/vboxuser", true), users);
        let mut both = [&users[..], &trusted[..]].concat();
        both.sort_unstable();
        assert_eq!(admitted("/dev/vboxguest", false), both);
    }

    #[test]
    fn a_refusal_names_the_request_the_node_and_the_remedy() {
        let error = check(RequestType::REPORT_GUEST_STATS, Path::new("/dev/vboxuser"), true)
            .expect_err("it takes trust");

        assert_eq!(
            error.to_string(),
            "Cannot submit ReportGuestStats (110) through /dev/vboxuser \
             (it is carried by /dev/vboxguest alone): VERR_PERMISSION_DENIED (-10)"
        );
    }

    #[test]
    fn a_request_without_a_type_is_malformed_rather_than_forbidden() {
        let error = check(RequestType(0), Path::new("/dev/vboxguest"), false).expect_err("no type");

        assert_eq!(error.status, Status::INVALID_PARAMETER);
    }
}
