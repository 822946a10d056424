//! The service of the shared clipboard, `VBoxSharedClipboard`: its numbers.
//!
//! A guest connects, says what it can do ([`Function::REPORT_FEATURES`]), and then has one call waiting
//! for a message ([`Function::MESSAGE_PEEK_WAIT`]), which it fetches ([`Function::MESSAGE_GET`]) and acts
//! on. Messages are only ever fetched: no event bit announces them.

use super::bits::named_bits;
use super::values::numbers;

/// The name by which a guest connects to the service.
pub const SERVICE: &str = "VBoxSharedClipboard";

numbers! {
    /// What a guest may call (`VBOX_SHCL_GUEST_FN_*`).
    pub struct Function {
        // u32 out: message; u32 out: formats. Waits; for guests without context ids.
        MESSAGE_OLD_GET_WAIT = 1, "message-old-get-wait";
        // u32: formats.
        REPORT_FORMATS = 2, "report-formats";
        // u32: format; buffer out: data; u32 out: size.
        DATA_READ = 3, "data-read";
        // u64: context; u32: format; buffer: data. Without context ids: u32: format; buffer: data.
        DATA_WRITE = 4, "data-write";
        // Dead.
        CONNECT = 5, "connect";
        // u64 in and out: features; u64 in and out: more features.
        REPORT_FEATURES = 6, "report-features";
        QUERY_FEATURES = 7, "query-features";
        // u32 or u64 in and out: session id in, message out; u32 out: how many parameters; any number of
        // u32 out: the size of each, inverted for a number.
        MESSAGE_PEEK_NO_WAIT = 8, "message-peek-no-wait";
        MESSAGE_PEEK_WAIT = 9, "message-peek-wait";
        // The parameters of the message; the number of the message in the first.
        MESSAGE_GET = 10, "message-get";
        REPLY = 11, "reply";
        ROOT_LIST_HEADER_READ = 12, "root-list-header-read";
        ROOT_LIST_HEADER_WRITE = 13, "root-list-header-write";
        ROOT_LIST_ENTRY_READ = 14, "root-list-entry-read";
        ROOT_LIST_ENTRY_WRITE = 15, "root-list-entry-write";
        LIST_OPEN = 16, "list-open";
        LIST_CLOSE = 17, "list-close";
        LIST_HEADER_READ = 18, "list-header-read";
        LIST_HEADER_WRITE = 19, "list-header-write";
        LIST_ENTRY_READ = 20, "list-entry-read";
        LIST_ENTRY_WRITE = 21, "list-entry-write";
        OBJECT_OPEN = 22, "object-open";
        OBJECT_CLOSE = 23, "object-close";
        OBJECT_READ = 24, "object-read";
        OBJECT_WRITE = 25, "object-write";
        // No parameters.
        MESSAGE_CANCEL = 26, "message-cancel";
        // u64: context; u32: status.
        ERROR = 27, "error";
        // u32 in and out: bytes of the largest chunk; u32 in and out: of the preferred one.
        NEGOTIATE_CHUNK_SIZE = 28, "negotiate-chunk-size";
    }
}

numbers! {
    /// What a host has to say (`VBOX_SHCL_HOST_MSG_*`).
    pub struct Message {
        // No parameters: the connection ends.
        QUIT = 1, "quit";
        // u32: this number; u32: format. For guests without context ids.
        READ_DATA = 2, "read-data";
        // u32: this number; u32: formats.
        FORMATS_REPORT = 3, "formats-report";
        // No parameters: the answer to a wait that was cancelled.
        CANCELED = 4, "canceled";
        // u64: context, with which the guest answers; u32: formats, one of which the guest writes.
        READ_DATA_WITH_CONTEXT = 5, "read-data-with-context";
        TRANSFER_STATUS = 50, "transfer-status";
        TRANSFER_ROOT_LIST_HEADER_READ = 51, "transfer-root-list-header-read";
        TRANSFER_ROOT_LIST_HEADER_WRITE = 52, "transfer-root-list-header-write";
        TRANSFER_ROOT_LIST_ENTRY_READ = 53, "transfer-root-list-entry-read";
        TRANSFER_ROOT_LIST_ENTRY_WRITE = 54, "transfer-root-list-entry-write";
        TRANSFER_LIST_OPEN = 55, "transfer-list-open";
        TRANSFER_LIST_CLOSE = 56, "transfer-list-close";
        TRANSFER_LIST_HEADER_READ = 57, "transfer-list-header-read";
        TRANSFER_LIST_HEADER_WRITE = 58, "transfer-list-header-write";
        TRANSFER_LIST_ENTRY_READ = 59, "transfer-list-entry-read";
        TRANSFER_LIST_ENTRY_WRITE = 60, "transfer-list-entry-write";
        TRANSFER_OBJECT_OPEN = 61, "transfer-object-open";
        TRANSFER_OBJECT_CLOSE = 62, "transfer-object-close";
        TRANSFER_OBJECT_READ = 63, "transfer-object-read";
        TRANSFER_OBJECT_WRITE = 64, "transfer-object-write";
        TRANSFER_CANCEL = 65, "transfer-cancel";
        TRANSFER_ERROR = 66, "transfer-error";
    }
}

numbers! {
    /// Which way the clipboard may go, as the host's user chose (`VBOX_SHCL_MODE_*`). The other way is
    /// refused with `VERR_ACCESS_DENIED`.
    pub struct Mode {
        OFF = 0, "off";
        HOST_TO_GUEST = 1, "host-to-guest";
        GUEST_TO_HOST = 2, "guest-to-host";
        BIDIRECTIONAL = 3, "bidirectional";
    }
}

named_bits! {
    /// Formats of what is in the clipboard (`VBOX_SHCL_FMT_*`).
    pub struct Formats {
        /// UTF-16, little endian, with CR LF between lines and a zero at the end, two bytes too.
        TEXT = 0x1, "text";
        /// A device independent bitmap: a `.bmp` without the 14 bytes of its file header.
        BITMAP = 0x2, "bitmap";
        /// UTF-8; hosts and guests may end it with a zero.
        HTML = 0x4, "html";
        /// URIs with CR LF between them, for the transfer of files.
        URI_LIST = 0x8, "uri-list";
    }
}

bitflags::bitflags! {
    /// What a guest can do, in the first of the two words of features.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct GuestFeatures: u64 {
        /// It takes messages with a context, and answers with it.
        const CONTEXT_IDS = 0x1;
        /// It transfers files.
        const TRANSFERS = 0x2;
        /// It shows the progress of transfers by the desktop's own means.
        const TRANSFERS_NATIVE = 0x4;
    }
}

bitflags::bitflags! {
    /// What a host can do, in the first of the two words of features.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct HostFeatures: u64 {
        /// It sends messages with a context, and wants answers with it.
        const CONTEXT_IDS = 0x1;
        /// It transfers files.
        const TRANSFERS = 0x2;
    }
}

/// A guest sets this bit in the second word of features, and a host that knows the functions clears it.
pub const FEATURES_UNANSWERED: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_messages_and_modes_have_their_documented_numbers() {
        let functions = [
            ("report-formats", 2),
            ("data-read", 3),
            ("data-write", 4),
            ("report-features", 6),
            ("query-features", 7),
            ("message-peek-no-wait", 8),
            ("message-peek-wait", 9),
            ("message-get", 10),
            ("reply", 11),
            ("list-open", 16),
            ("object-write", 25),
            ("message-cancel", 26),
            ("error", 27),
            ("negotiate-chunk-size", 28),
        ];
        for (name, number) in functions {
            assert_eq!(Function::from_name(name), Some(Function(number)));
        }
        let messages = [
            ("quit", 1),
            ("read-data", 2),
            ("formats-report", 3),
            ("canceled", 4),
            ("read-data-with-context", 5),
            ("transfer-status", 50),
            ("transfer-root-list-entry-read", 53),
            ("transfer-list-open", 55),
            ("transfer-list-header-read", 57),
            ("transfer-list-entry-read", 59),
            ("transfer-object-open", 61),
            ("transfer-object-write", 64),
            ("transfer-error", 66),
        ];
        for (name, number) in messages {
            assert_eq!(Message::from_name(name), Some(Message(number)));
        }
        for (number, name) in (0..).zip(["off", "host-to-guest", "guest-to-host", "bidirectional"]) {
            assert_eq!(Mode(number).to_string(), name);
        }
    }

    #[test]
    fn there_are_four_formats() {
        assert_eq!(Formats::all().bits(), 0xF);
        assert_eq!(Formats::from_bits_retain(5).to_string(), "text|html");
    }
}
