//! Why a socket ends: the one closed table of close codes, whose ranges tell a client whether to come back. 4000 to
//! 4099: do not reconnect; 4100 to 4199: reconnect with backoff; 4200 to 4299: reconnect now. What breaks the
//! WebSocket protocol itself is answered with the code that RFC 6455 has for it, and is no reason to come back either.
//! The table knows nothing of sessions: it is a format that clients depend on, pinned by a snapshot.

use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// Why a session, or a socket that never became one, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The presenter said goodbye.
    Closed,
    /// The connection broke.
    Lost,
    /// The node was out of touch for longer than its lease while bytes were on their way. Another node may hold the
    /// room, so not even a close frame, which would have to follow them, is written any more.
    Lapsed,
    /// No token came in time.
    Unauthenticated,
    /// The token is not valid.
    TokenRefused,
    /// A newer session of the same presenter took the room, on this node or another.
    Replaced,
    /// A start frame without a token.
    TokenMissing,
    /// A second start frame, with the token of another presenter.
    OtherPresenter,
    /// The token was valid once.
    TokenExpired,
    /// The node has as many sessions as it may.
    Overload,
    /// More frames a second than anyone who means well sends.
    Flood,
    /// The room could not be claimed: the log cannot be reached.
    Unavailable,
    /// The node has not reached the log for long; another one may.
    CutOff,
    /// The node is stopping.
    Drain,
    /// The presenter did not take what was written in time.
    Slow,
    /// Neither a pong nor anything else was heard.
    Silent,
    /// Not WebSocket.
    Violation,
    /// A binary frame.
    Binary,
    /// A text frame that is not UTF-8.
    NotUtf8,
    /// A frame or message larger than allowed.
    TooLarge,
}

impl End {
    /// A stable word, for the log and for `presenter.disconnected`.
    pub(crate) fn word(self) -> &'static str {
        self.row().0
    }

    /// What the client is told; nothing where nobody would hear it.
    pub(crate) fn close_frame(self) -> Option<CloseFrame> {
        let (_, code, reason) = self.row();
        code.map(|code| CloseFrame { code: code.into(), reason: reason.into() })
    }

    /// Whether the bytes that follow in the stream cannot be understood or are not read, so that the client's own close frame will
    /// not be found among them.
    pub(crate) fn breaks_the_stream(self) -> bool {
        matches!(self, End::Violation | End::NotUtf8 | End::TooLarge | End::Flood)
    }

    fn row(self) -> (&'static str, Option<u16>, &'static str) {
        match self {
            End::Closed => ("closed", None, ""),
            End::Lost => ("lost", None, ""),
            End::Lapsed => ("lapsed", None, ""),
            End::Unauthenticated => ("unauthenticated", Some(4000), "no token came in time"),
            End::TokenRefused => ("token_refused", Some(4001), "the token is not valid"),
            End::Replaced => ("replaced", Some(4002), "replaced by a newer session"),
            End::TokenMissing => ("token_missing", Some(4003), "start without a token"),
            End::OtherPresenter => ("other_presenter", Some(4004), "already started as another presenter"),
            End::TokenExpired => ("token_expired", Some(4005), "the token has expired"),
            End::Overload => ("overload", Some(4100), "too many sessions on this node"),
            End::Flood => ("flood", Some(4101), "too many frames"),
            End::Unavailable => ("unavailable", Some(4102), "the room could not be claimed"),
            End::CutOff => ("cut_off", Some(4103), "this node is cut off from the log"),
            End::Drain => ("drain", Some(4200), "the node is stopping"),
            End::Slow => ("slow", Some(4201), "messages were not taken in time"),
            End::Silent => ("silent", Some(4202), "no pong came in time"),
            End::Violation => ("violation", Some(1002), "not the WebSocket protocol"),
            End::Binary => ("binary", Some(1003), "binary frames are not understood"),
            End::NotUtf8 => ("not_utf8", Some(1007), "a text frame that is not UTF-8"),
            End::TooLarge => ("too_large", Some(1009), "a frame of more bytes than allowed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [End; 20] = [
        End::Closed,
        End::Lost,
        End::Lapsed,
        End::Unauthenticated,
        End::TokenRefused,
        End::Replaced,
        End::TokenMissing,
        End::OtherPresenter,
        End::TokenExpired,
        End::Overload,
        End::Flood,
        End::Unavailable,
        End::CutOff,
        End::Drain,
        End::Slow,
        End::Silent,
        End::Violation,
        End::Binary,
        End::NotUtf8,
        End::TooLarge,
    ];

    #[test]
    fn the_table_is_pinned() {
        let table: String = ALL
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
        for (index, one) in ALL.iter().enumerate() {
            for other in &ALL[index + 1..] {
                assert_ne!(one.word(), other.word());
                assert!(one.row().1.is_none() || one.row().1 != other.row().1, "{one:?} and {other:?}");
            }
        }
    }

    #[test]
    fn a_close_frame_is_one_that_the_protocol_allows() {
        for frame in ALL.iter().filter_map(|end| end.close_frame()) {
            assert!(matches!(u16::from(frame.code), 1002 | 1003 | 1007 | 1009 | 4000..4300), "{}", frame.code);
            // A control frame has at most 125 bytes, two of which are the code.
            assert!(frame.reason.len() <= 123, "{}", frame.reason.as_str());
        }
    }
}
