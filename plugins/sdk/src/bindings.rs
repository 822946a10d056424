//! What `wit-bindgen` makes of the contract.

#![allow(
    missing_docs,
    clippy::undocumented_unsafe_blocks,
    reason = "generated: the code is the canonical ABI's, the documentation the contract's"
)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "plugin",
    pub_export_macro: true,
    // Ours, so that it reads well in a log.
    with: { "bellhop:guest/types@0.1.0": crate::error::types },
    additional_derives: [PartialEq, Eq],
});
