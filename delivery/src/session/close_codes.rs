//! The close codes: one closed table of why a socket closes. The range tells a client whether to reconnect. 4000 to
//! 4099: do not reconnect. 4100 to 4199: reconnect with backoff. 4200 to 4299: reconnect now. A breach of the WebSocket
//! protocol closes with its code of RFC 6455, and is no reason to reconnect either. Clients depend on the table: a
//! snapshot pins it.

use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// Why a session, or a socket without one, closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// The client closed the socket.
    Closed,
    /// The connection broke.
    Lost,
    /// The node's lease lapsed during a write. Another node may hold the room, so nothing more is written: not even a
    /// close frame, which would have to follow the bytes in progress.
    Lapsed,
    /// The client sent no token in time.
    Unauthenticated,
    /// The token is not valid.
    TokenRefused,
    /// A newer session of the presenter claimed the room, on this node or another.
    Replaced,
    /// A start frame without a token.
    TokenMissing,
    /// A second start frame, with the token of another presenter.
    OtherPresenter,
    /// The token has expired.
    TokenExpired,
    /// Nothing shows the room to the reader, or not any more.
    Forbidden,
    /// The node has its maximum of sessions.
    Overload,
    /// More frames a second than allowed.
    Flood,
    /// The room could not be claimed: the log is unreachable.
    Unavailable,
    /// This node has been cut off from the log for too long. Another one may not be.
    CutOff,
    /// The node is stopping.
    Drain,
    /// The client did not read what was written in time.
    Slow,
    /// The client sent neither a pong nor anything else in time.
    Silent,
    /// A breach of the WebSocket protocol.
    Violation,
    /// A binary frame.
    Binary,
    /// A text frame is not UTF-8.
    NotUtf8,
    /// A frame or message larger than allowed.
    TooLarge,
}

impl CloseReason {
    /// Every reason.
    pub(crate) const ALL: [CloseReason; 21] = [
        CloseReason::Closed,
        CloseReason::Lost,
        CloseReason::Lapsed,
        CloseReason::Unauthenticated,
        CloseReason::TokenRefused,
        CloseReason::Replaced,
        CloseReason::TokenMissing,
        CloseReason::OtherPresenter,
        CloseReason::TokenExpired,
        CloseReason::Forbidden,
        CloseReason::Overload,
        CloseReason::Flood,
        CloseReason::Unavailable,
        CloseReason::CutOff,
        CloseReason::Drain,
        CloseReason::Slow,
        CloseReason::Silent,
        CloseReason::Violation,
        CloseReason::Binary,
        CloseReason::NotUtf8,
        CloseReason::TooLarge,
    ];

    /// A stable word, for the log and for `presenter.disconnected`.
    pub(crate) fn word(self) -> &'static str {
        self.row().0
    }

    /// The close frame. None if nobody would receive it.
    pub(crate) fn close_frame(self) -> Option<CloseFrame> {
        let (_, code, reason) = self.row();
        code.map(|code| CloseFrame { code: code.into(), reason: reason.into() })
    }

    /// Whether the rest of the stream cannot be parsed or is not read, so that the client's own close frame will not be
    /// found in it.
    pub(crate) fn breaks_the_stream(self) -> bool {
        matches!(self, CloseReason::Violation | CloseReason::NotUtf8 | CloseReason::TooLarge | CloseReason::Flood)
    }

    fn row(self) -> (&'static str, Option<u16>, &'static str) {
        match self {
            CloseReason::Closed => ("closed", None, ""),
            CloseReason::Lost => ("lost", None, ""),
            CloseReason::Lapsed => ("lapsed", None, ""),
            CloseReason::Unauthenticated => ("unauthenticated", Some(4000), "no token came in time"),
            CloseReason::TokenRefused => ("token_refused", Some(4001), "the token is not valid"),
            CloseReason::Replaced => ("replaced", Some(4002), "replaced by a newer session"),
            CloseReason::TokenMissing => ("token_missing", Some(4003), "start without a token"),
            CloseReason::OtherPresenter => ("other_presenter", Some(4004), "already started as another presenter"),
            CloseReason::TokenExpired => ("token_expired", Some(4005), "the token has expired"),
            CloseReason::Forbidden => ("forbidden", Some(4006), "the token does not show this room"),
            CloseReason::Overload => ("overload", Some(4100), "too many sessions on this node"),
            CloseReason::Flood => ("flood", Some(4101), "too many frames"),
            CloseReason::Unavailable => ("unavailable", Some(4102), "the room could not be claimed"),
            CloseReason::CutOff => ("cut_off", Some(4103), "this node is cut off from the log"),
            CloseReason::Drain => ("drain", Some(4200), "the node is stopping"),
            CloseReason::Slow => ("slow", Some(4201), "messages were not taken in time"),
            CloseReason::Silent => ("silent", Some(4202), "no pong came in time"),
            CloseReason::Violation => ("violation", Some(1002), "not the WebSocket protocol"),
            CloseReason::Binary => ("binary", Some(1003), "binary frames are not understood"),
            CloseReason::NotUtf8 => ("not_utf8", Some(1007), "a text frame that is not UTF-8"),
            CloseReason::TooLarge => ("too_large", Some(1009), "a frame of more bytes than allowed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CloseReason;

    #[test]
    fn the_table_is_pinned() {
        let table: String = CloseReason::ALL
            .map(|end| {
                let (word, code, reason) = end.row();
                format!("{:<16}{:<6}{reason}", word, code.map_or("-".to_owned(), |code| code.to_string()))
            })
            .map(|row| row.trim_end().to_owned() + "\n")
            .concat();
        insta::assert_snapshot!(table, @r"
        closed          -
        lost            -
        lapsed          -
        unauthenticated 4000  no token came in time
        token_refused   4001  the token is not valid
        replaced        4002  replaced by a newer session
        token_missing   4003  start without a token
        other_presenter 4004  already started as another presenter
        token_expired   4005  the token has expired
        forbidden       4006  the token does not show this room
        overload        4100  too many sessions on this node
        flood           4101  too many frames
        unavailable     4102  the room could not be claimed
        cut_off         4103  this node is cut off from the log
        drain           4200  the node is stopping
        slow            4201  messages were not taken in time
        silent          4202  no pong came in time
        violation       1002  not the WebSocket protocol
        binary          1003  binary frames are not understood
        not_utf8        1007  a text frame that is not UTF-8
        too_large       1009  a frame of more bytes than allowed
        ");
    }

    #[test]
    fn every_end_has_its_own_word_and_its_own_code() {
        for (index, one) in CloseReason::ALL.iter().enumerate() {
            for other in &CloseReason::ALL[index + 1..] {
                assert_ne!(one.word(), other.word());
                assert!(one.row().1.is_none() || one.row().1 != other.row().1, "{one:?} and {other:?}");
            }
        }
    }

    #[test]
    fn a_close_frame_is_one_that_the_protocol_allows() {
        for frame in CloseReason::ALL.iter().filter_map(|end| end.close_frame()) {
            assert!(matches!(u16::from(frame.code), 1002 | 1003 | 1007 | 1009 | 4000..4300), "{}", frame.code);
            // A control frame has at most 125 bytes, two of which are the code.
            assert!(frame.reason.len() <= 123, "{}", frame.reason.as_str());
        }
    }
}
