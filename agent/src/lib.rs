//! Bellhop's agent: the native core that runs sandboxed plugins.
//!
//! Start at [`agent::Agent`]; [`dispatch`] tells what happens when the host rings, [`mailbox`] where
//! news waits, [`plugin`] how one plugin lives, [`sandbox`] what bounds it, [`host`] what it may import.
//!
//! The agent knows [`driver_core::Driver`], the WIT contract and wasmtime. It knows neither VMMDev's
//! bytes nor ioctl numbers.

pub mod agent;
pub mod bucket;
pub mod config;
pub mod confine;
pub mod control;
pub mod dispatch;
pub mod ending;
pub mod footprint;
pub mod grants;
pub mod host;
pub mod logging;
pub mod mailbox;
pub mod observe;
pub mod plugin;
pub mod reload;
pub mod replay;
pub mod sandbox;
pub mod scenario;
pub mod service;
pub mod sync;
