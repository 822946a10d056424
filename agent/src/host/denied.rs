//! What functions answer that are denied: nothing outside is asked, and the plugin goes on.

use super::wit::types::Error;

/// What a function gives back, when all that it can do is to refuse.
pub trait Denied: Sized {
    /// The refusal. `reason` names the grant that would be needed.
    ///
    /// # Errors
    /// Where there is no other way to refuse than a trap.
    fn denied(reason: &str) -> wasmtime::Result<Self>;
}

impl<T> Denied for (Result<T, Error>,) {
    fn denied(reason: &str) -> wasmtime::Result<Self> {
        Ok((Err(Error::Denied(reason.to_owned())),))
    }
}

/// What gives back nothing ends something by its number, and ignores, by the contract, a number that names
/// nothing. No other can have been given out.
impl Denied for () {
    fn denied(_: &str) -> wasmtime::Result<Self> {
        Ok(())
    }
}

impl Denied for (u64,) {
    fn denied(reason: &str) -> wasmtime::Result<Self> {
        Err(wasmtime::Error::msg(format!(
            "It called a function that cannot be refused to it otherwise: {reason}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_an_answer_where_there_can_be_one() {
        let answer = <(Result<u32, Error>,)>::denied("why").expect("it is an answer");
        assert!(matches!(answer, (Err(Error::Denied(reason)),) if reason == "why"));

        <()>::denied("why").expect("nothing is done");

        let trap = <(u64,)>::denied("why").expect_err("no number says that").to_string();
        assert!(trap.ends_with(": why"), "{trap}");
    }
}
