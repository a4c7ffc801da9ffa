//! Every refusal there is: the document of the interface and the tests go through them.

use std::time::Duration;

use crate::http::gateway::ForwardError;
use jiff::Timestamp;
use nats::AppendError;
use web::auth::TokenError;

use super::Refusal;
use crate::http::body::Malformed;
use crate::moderation::settings::{InvalidSetting, Rate};
use crate::posting::limits;
use crate::posting::limits::Quota;
use crate::posting::text::InvalidText;

impl Refusal {
    /// One of each, more of those that have several answers.
    pub(crate) fn all() -> Vec<Refusal> {
        use Refusal::*;
        let all = vec![
            Token(TokenError::Missing),
            Token(TokenError::Ambiguous),
            Token(TokenError::Malformed),
            Token(TokenError::Signature),
            Token(TokenError::Expired),
            Token(TokenError::Claims),
            Token(TokenError::Type),
            Token(TokenError::Lifetime),
            Token(TokenError::UserIdx),
            Token(TokenError::KeysUnavailable),
            Forwarded(ForwardError::Missing("x-forward-useridx")),
            Forwarded(ForwardError::Twice("x-forward-useridx")),
            Forwarded(ForwardError::Malformed("x-forward-useridx")),
            PresenterIdxMissing,
            PresenterIdxInvalid,
            UserTypeInvalid,
            UserIdxInvalid,
            MessageIdInvalid,
            QueryInvalid("The parameter \"first\" must be an integer from 1 to 1000.".to_owned()),
            IdempotencyKeyInvalid,
            IdempotencyKeyMissing,
            IdempotencyKeyReused,
            NothingUnderKey,
            UnsupportedMediaType,
            UnsupportedEncoding,
            BodyMalformed(Malformed {
                what: "The member \"reason\" must be a text, null or absent.".to_owned(),
                page: "reference/moderation.md#settings",
            }),
            BodyBroken,
            BodyAltered,
            BodyTooLarge,
            BodyTimeout,
            Text(InvalidText::Empty),
            Text(InvalidText::TooLong),
            Text(InvalidText::Forbidden),
            TextMissing("text"),
            TextTooLongHere(200),
            ReasonInvalid,
            SecondsInvalid,
            Setting(InvalidSetting::Value("uniqueChat", "true or false")),
            SettingMissing,
            Forbidden,
            PresenterBanned,
            NotBanned,
            TooManyBans(10_000),
            TooManyDecisions { retry_after: Duration::from_secs(2), quota: Quota { policy: "decisions", ..quota() } },
            Banned { until: None },
            Banned { until: Some(Timestamp::UNIX_EPOCH) },
            PresenterOnly,
            Limited(limits::Limited::SlowMode { retry_after: Duration::from_secs(5) }),
            Limited(limits::Limited::Rate { retry_after: Duration::from_secs(2), quota: quota() }),
            Limited(limits::Limited::Duplicate),
            Rejected,
            Denied { reason: None },
            Denied { reason: Some("politics".to_owned()) },
            ReviewUnavailable,
            RoomNotLive,
            RoomServerUnavailable,
            Overloaded,
            Append(AppendError::Full),
            Append(AppendError::Busy),
            Append(AppendError::Unavailable),
            Append(AppendError::Unknown),
            Append(AppendError::TooLarge),
            NotFound,
            MethodNotAllowed,
        ];
        // A new variant does not compile here until it is in the list above.
        for refusal in &all {
            match refusal {
                Token(_) | Forwarded(_) | PresenterIdxMissing | PresenterIdxInvalid | UserTypeInvalid => {}
                UserIdxInvalid | MessageIdInvalid | QueryInvalid(_) | IdempotencyKeyReused | NothingUnderKey => {}
                TooManyBans(_) | TooManyDecisions { .. } | TextMissing(_) | IdempotencyKeyMissing => {}
                TextTooLongHere(_) | ReasonInvalid | SecondsInvalid | Setting(_) | SettingMissing => {}
                Forbidden | PresenterBanned | NotBanned | Banned { .. } | PresenterOnly | Rejected => {}
                Limited(_) | Denied { .. } | ReviewUnavailable => {}
                IdempotencyKeyInvalid | UnsupportedMediaType | UnsupportedEncoding | BodyMalformed(_) | BodyBroken => {}
                BodyAltered | BodyTooLarge | BodyTimeout => {}
                Text(_)
                | RoomNotLive
                | RoomServerUnavailable
                | Overloaded
                | Append(_)
                | NotFound
                | MethodNotAllowed => {}
            }
        }
        all
    }
}

fn quota() -> Quota {
    Quota { policy: "room", rate: Rate { messages: 20, seconds: 30 }, remaining: 0 }
}
