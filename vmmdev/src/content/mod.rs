//! What people put into a clipboard, and its form on the wire.
//!
//! | at the host | on the wire |
//! |---|---|
//! | text, UTF-8 with line feeds | UTF-16, little endian, with CR LF, and a zero at the end |
//! | HTML, UTF-8 | the same, and a zero at the end |
//! | a `.bmp` file, a `.png` file | a device independent bitmap: a `.bmp` without its file header |

mod bitmap;
mod text;

pub use bitmap::{bmp, bmp_file, png, png_file};
pub use text::{html, html_of, text, text_of};

/// Something is not what it is said to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadContent {
    /// A text file that is no text.
    #[error("This is no text in UTF-8")]
    NotUtf8,
    /// A text has half a character, or half of a pair.
    #[error("A text of the clipboard is UTF-16, little endian; this is not")]
    NotUtf16,
    /// No `.bmp` file, or one that is shorter than it says.
    #[error("This is no BMP file that is whole")]
    NotBmp,
    /// No `.png` file, or one that cannot be read.
    #[error("This is no PNG file that can be read: {0}")]
    NotPng(String),
    /// A bitmap's head is none, or says more than there is.
    #[error("A bitmap of the clipboard begins with 40 bytes about it; this one does not, or is cut off")]
    NotBitmap,
    /// A bitmap that can be in a `.bmp` file but not in a `.png` of this host.
    #[error(
        "A bitmap with {bits} bits a pixel and compression {compression} is not made a PNG; get it as bmp"
    )]
    UnknownBitmap {
        /// Bits a pixel.
        bits: u16,
        /// As in the bitmap's head.
        compression: u32,
    },
    /// A picture has more pixels than a clipboard carries.
    #[error("A picture of {width} x {height} pixels is too large for the clipboard")]
    TooLarge {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
}
