//! What holds for any token and any head of a request. The fuzz targets in `fuzz/` call the checks, and the test below
//! replays their corpus. Compiled for both alone.

pub use crate::auth::fuzz::token;
pub use crate::serve::fuzz::head;

#[cfg(test)]
#[path = "../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn the_corpus_of_the_fuzz_targets_holds() {
        replay("head", head);
        replay("token", token);
    }
}
