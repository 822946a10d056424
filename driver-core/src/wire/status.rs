//! VBox status codes: the host's word on a request.

use std::fmt;

/// A VBox status code (`err.h`): negative is failure, zero and above is success, perhaps with a
/// remark. Codes without a name here are carried all the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(pub i32);

macro_rules! statuses {
    ($( $constant:ident = $value:literal, $name:literal; )+) => {
        impl Status {
            $( #[doc = concat!("`", $name, "` (", stringify!($value), ")")]
               pub const $constant: Status = Status($value); )+

            /// The name of this code in VirtualBox's headers, when it is one of the known.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $( $value => Some($name), )+
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    SUCCESS = 0, "VINF_SUCCESS";
    GENERAL_FAILURE = -1, "VERR_GENERAL_FAILURE";
    INVALID_PARAMETER = -2, "VERR_INVALID_PARAMETER";
    INVALID_HANDLE = -4, "VERR_INVALID_HANDLE";
    INVALID_POINTER = -6, "VERR_INVALID_POINTER";
    NO_MEMORY = -8, "VERR_NO_MEMORY";
    PERMISSION_DENIED = -10, "VERR_PERMISSION_DENIED";
    INFO_PERMISSION_DENIED = 10, "VINF_PERMISSION_DENIED";
    VERSION_MISMATCH = -11, "VERR_VERSION_MISMATCH";
    NOT_IMPLEMENTED = -12, "VERR_NOT_IMPLEMENTED";
    INVALID_FLAGS = -13, "VERR_INVALID_FLAGS";
    WRONG_ORDER = -22, "VERR_WRONG_ORDER";
    INVALID_CONTEXT = -32, "VERR_INVALID_CONTEXT";
    INVALID_FUNCTION = -36, "VERR_INVALID_FUNCTION";
    NOT_SUPPORTED = -37, "VERR_NOT_SUPPORTED";
    ACCESS_DENIED = -38, "VERR_ACCESS_DENIED";
    INTERRUPTED = -39, "VERR_INTERRUPTED";
    TIMEOUT = -40, "VERR_TIMEOUT";
    BUFFER_OVERFLOW = -41, "VERR_BUFFER_OVERFLOW";
    INFO_BUFFER_OVERFLOW = 41, "VINF_BUFFER_OVERFLOW";
    TOO_MUCH_DATA = -42, "VERR_TOO_MUCH_DATA";
    STATE_CHANGED = -48, "VERR_STATE_CHANGED";
    TRY_AGAIN = -52, "VERR_TRY_AGAIN";
    INFO_TRY_AGAIN = 52, "VINF_TRY_AGAIN";
    PARSE_ERROR = -53, "VERR_PARSE_ERROR";
    OUT_OF_RANGE = -54, "VERR_OUT_OF_RANGE";
    CANCELLED = -70, "VERR_CANCELLED";
    NOT_FOUND = -78, "VERR_NOT_FOUND";
    WARN_NOT_FOUND = 78, "VWRN_NOT_FOUND";
    INVALID_STATE = -79, "VERR_INVALID_STATE";
    OUT_OF_RESOURCES = -80, "VERR_OUT_OF_RESOURCES";
    DUPLICATE = -98, "VERR_DUPLICATE";
    FILE_NOT_FOUND = -102, "VERR_FILE_NOT_FOUND";
    PATH_NOT_FOUND = -103, "VERR_PATH_NOT_FOUND";
    ALREADY_EXISTS = -105, "VERR_ALREADY_EXISTS";
    EOF = -110, "VERR_EOF";
    RESOURCE_BUSY = -138, "VERR_RESOURCE_BUSY";
    NO_MORE_FILES = -201, "VERR_NO_MORE_FILES";
    INTERNAL_ERROR = -225, "VERR_INTERNAL_ERROR";
    NO_DATA = -304, "VERR_NO_DATA";
    SEM_DESTROYED = -363, "VERR_SEM_DESTROYED";
    VM_RESTORED = -1025, "VERR_VM_RESTORED";
    HGCM_SERVICE_NOT_FOUND = -2900, "VERR_HGCM_SERVICE_NOT_FOUND";
    // Positive in VirtualBox's headers, although it reads like a failure.
    HGCM_CLIENT_REJECTED = 2901, "VINF_HGCM_CLIENT_REJECTED";
    HGCM_INVALID_CMD_ADDRESS = -2902, "VERR_HGCM_INVALID_CMD_ADDRESS";
    HGCM_ASYNC_EXECUTE = 2903, "VINF_HGCM_ASYNC_EXECUTE";
    HGCM_INTERNAL = -2904, "VERR_HGCM_INTERNAL";
    HGCM_INVALID_CLIENT_ID = -2905, "VERR_HGCM_INVALID_CLIENT_ID";
    HGCM_TOO_MANY_CLIENTS = -2908, "VERR_HGCM_TOO_MANY_CLIENTS";
    HGCM_TOO_MANY_CLIENT_CALLS = -2909, "VERR_HGCM_TOO_MANY_CLIENT_CALLS";
    CPU_HOTPLUG_NOT_MONITORED = -4700, "VERR_VMMDEV_CPU_HOTPLUG_NOT_MONITORED_BY_GUEST";
    CLIPBOARD_MAX_TRANSFERS = -7100, "VERR_SHCLPB_MAX_TRANSFERS_REACHED";
    CLIPBOARD_MAX_OBJECTS = -7101, "VERR_SHCLPB_MAX_OBJECTS_REACHED";
    CLIPBOARD_MAX_LISTS = -7102, "VERR_SHCLPB_MAX_LISTS_REACHED";
    CLIPBOARD_LIST_HANDLE_INVALID = -7103, "VERR_SHCLPB_LIST_HANDLE_INVALID";
    CLIPBOARD_OBJECT_HANDLE_INVALID = -7104, "VERR_SHCLPB_OBJ_HANDLE_INVALID";
    CLIPBOARD_EVENT_ID_NOT_FOUND = -7105, "VERR_SHCLPB_EVENT_ID_NOT_FOUND";
    CLIPBOARD_MAX_EVENTS = -7106, "VERR_SHCLPB_MAX_EVENTS_REACHED";
    CLIPBOARD_TRANSFER_ID_NOT_FOUND = -7150, "VERR_SHCLPB_TRANSFER_ID_NOT_FOUND";
    CLIPBOARD_GUEST_ERROR = -7151, "VERR_SHCLPB_GUEST_ERROR";
    CLIPBOARD_EVENT_FAILED = -7152, "VERR_SHCLPB_EVENT_FAILED";
    CLIPBOARD_NO_DATA = -7153, "VERR_SHCLPB_NO_DATA";
    BUFFER_UNDERFLOW = -22401, "VERR_BUFFER_UNDERFLOW";
    MISMATCH = -22408, "VERR_MISMATCH";
    WRONG_PARAMETER_COUNT = -22415, "VERR_WRONG_PARAMETER_COUNT";
    WRONG_PARAMETER_TYPE = -22416, "VERR_WRONG_PARAMETER_TYPE";
    INVALID_CLIENT_ID = -22417, "VERR_INVALID_CLIENT_ID";
}

impl Status {
    /// Whether this code is a failure: negative.
    pub const fn is_failure(self) -> bool {
        self.0 < 0
    }

    /// This code as a result: failures are errors, everything else is not.
    ///
    /// # Errors
    /// The code itself, when it is a failure.
    pub const fn ok(self) -> Result<(), Status> {
        if self.is_failure() { Err(self) } else { Ok(()) }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "status {}", self.0),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Status({self})")
    }
}

impl std::error::Error for Status {}

impl From<zerocopy::little_endian::I32> for Status {
    fn from(wire: zerocopy::little_endian::I32) -> Self {
        Self(wire.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes_show_their_name_and_unknown_ones_their_number() {
        let cases = [
            (-37, "VERR_NOT_SUPPORTED (-37)"),
            (0, "VINF_SUCCESS (0)"),
            (78, "VWRN_NOT_FOUND (78)"),
            (2901, "VINF_HGCM_CLIENT_REJECTED (2901)"),
            (-1234, "status -1234"),
        ];
        for (code, text) in cases {
            assert_eq!(Status(code).to_string(), text);
        }
    }

    #[test]
    fn only_negative_codes_are_failures() {
        assert_eq!(Status(-41).ok(), Err(Status::BUFFER_OVERFLOW));
        assert_eq!(Status(41).ok(), Ok(()));
        assert_eq!(Status(2903).ok(), Ok(()));
    }
}
