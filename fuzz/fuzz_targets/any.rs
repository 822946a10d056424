//! A target for `cargo fuzz run any`: the one that `BELLHOP_TARGET` names.

#![no_main]

use std::sync::LazyLock;

use bellhop_fuzz::Target;
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("BELLHOP_TARGET").expect("BELLHOP_TARGET names a target");
    bellhop_fuzz::target(&name).expect("there is such a target")
});

fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
