//! What holds for any frame of a client, any bytes of its socket, any handshake, and any line of the log. The fuzz
//! targets in `fuzz/` call the checks, and the test below replays their corpus. Compiled for both alone.

pub use crate::dialects::fuzz::{client_frame, shown_line};
pub use crate::http::fuzz::handshake;
pub use crate::session::frame_limits::fuzz::socket_bytes;

#[cfg(test)]
#[path = "../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn the_corpus_of_the_fuzz_targets_holds() {
        replay("client_frame", client_frame);
        replay("handshake", handshake);
        replay("shown_line", shown_line);
        replay("socket_bytes", socket_bytes);
    }
}
