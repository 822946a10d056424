//! The clipboard plugin.

#![deny(missing_docs)]

pub mod bytes;
pub mod convert;
pub mod formats;
pub mod html;
pub mod image;
pub mod text;
