//! The guest's desktop, as plugins may reach it: its outputs, windows and clipboard.
//!
//! A desktop object is a trait, and each desktop that Bellhop can drive is one implementation of it:
//! [`x11`] by asking an X server, [`headless`] by writing down what it was told. [`choose`] picks one.
//!
//! What a layout means whatever the desktop is decided in one place, `layout`, before a desktop sees it.
//!
//! This crate knows desktops. It knows nothing of WebAssembly, VMMDev or configuration files. Nothing
//! happens between two calls, except while somebody wants to hear of news: then a thread waits for them.

mod backend;
pub mod clipboard;
pub mod headless;
mod layout;
mod outputs;
pub mod windows;
pub mod x11;

pub use backend::{Backend, Chosen, Desktop, Needs, UnknownBackend, choose};
pub use clipboard::{Clipboard, Clipboards, Content, Selection};
pub use outputs::{Area, Error, Outcome, Output, Outputs, Placement};
pub use windows::{View, Window, Windows};
