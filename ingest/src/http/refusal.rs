//! Every reason for which ingest refuses, once, and what each is on both surfaces: status, stable code and plain
//! sentence on `/v1`, status and Korean message on the original's. `docs/reference/ingest-api.md` lists the same table.

use std::time::Duration;

use crate::http::gateway::ForwardError;
use axum::http::StatusCode;
use jiff::Timestamp;
use nats::AppendError;
use web::auth::TokenError;
use web::{IDX_BOUNDS, Problem};

use crate::http::body::Malformed;
use crate::moderation::decide::LONGEST_TERM_SECONDS;
use crate::moderation::settings::{InvalidSetting, NAMED};
use crate::posting::limits::{Limited, Quota};
use crate::posting::text::{InvalidText, LONGEST_TEXT, LONGEST_TEXT_BYTES};

mod all;

#[cfg(test)]
mod tests;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    Token(TokenError),
    Forwarded(ForwardError),
    PresenterIdxMissing,
    PresenterIdxInvalid,
    UserTypeInvalid,
    UserIdxInvalid,
    MessageIdInvalid,
    /// What is wrong, in a sentence that names the parameter.
    QueryInvalid(String),
    IdempotencyKeyInvalid,
    /// The request is about a key, and names none.
    IdempotencyKeyMissing,
    /// Nothing was accepted under the key.
    NothingUnderKey,
    /// The key named another request before.
    IdempotencyKeyReused,
    UnsupportedMediaType,
    /// The body is compressed, or said to be.
    UnsupportedEncoding,
    BodyMalformed(Malformed),
    /// It ended before its end.
    BodyBroken,
    /// It is not the body of the header `Content-Digest`.
    BodyAltered,
    BodyTooLarge,
    BodyTimeout,
    Text(InvalidText),
    /// There is none: the member is missing or null.
    TextMissing(&'static str),
    /// The room allows so many characters.
    TextTooLongHere(usize),
    /// A moderator's reason is not a text that may be said.
    ReasonInvalid,
    SecondsInvalid,
    Setting(InvalidSetting),
    /// A change that names no setting.
    SettingMissing,
    Forbidden,
    /// Nobody can be banned in the own room.
    PresenterBanned,
    NotBanned,
    /// The room, or every room, has so many bans already.
    TooManyBans(usize),
    /// A moderator decides too much in too short a time.
    TooManyDecisions {
        retry_after: Duration,
        quota: Quota,
    },
    Banned {
        /// None: for good.
        until: Option<Timestamp>,
    },
    PresenterOnly,
    Limited(Limited),
    /// By the words in it.
    Rejected,
    /// By the platform's review.
    Denied {
        /// In the review's words.
        reason: Option<String>,
    },
    ReviewUnavailable,
    RoomNotLive,
    RoomServerUnavailable,
    Overloaded,
    Append(AppendError),
    NotFound,
    MethodNotAllowed,
}

/// What a refusal is on the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wire {
    /// On `/v1`.
    pub(crate) status: StatusCode,
    /// On `/v1`. Never changes its meaning.
    pub(crate) code: &'static str,
    /// On the original's surface.
    pub(crate) original_status: StatusCode,
    /// On the original's surface: of its catalogue, or where that has nothing the reason phrase as Spring has it.
    pub(crate) original_message: &'static str,
}

const NOT_SENT: &str = "채팅이 정상적으로 전송되지 않았습니다.";
const JWT_EXCEPTION: &str = "Jwt Exception";

impl Refusal {
    pub(crate) fn wire(&self) -> Wire {
        use StatusCode as S;
        let same = |status, code, original_message| Wire { status, code, original_status: status, original_message };
        match self {
            Refusal::Token(TokenError::Missing) => {
                Wire { original_status: S::BAD_REQUEST, ..same(S::UNAUTHORIZED, "token_missing", "Token null") }
            }
            Refusal::Token(TokenError::Ambiguous) => same(S::UNAUTHORIZED, "token_invalid", JWT_EXCEPTION),
            Refusal::Token(TokenError::Malformed) => same(S::UNAUTHORIZED, "token_invalid", "토큰의 유형이 아닙니다."),
            Refusal::Token(TokenError::Signature) => same(S::UNAUTHORIZED, "token_invalid", "토큰이 변조되었습니다."),
            Refusal::Token(TokenError::Expired) => same(S::UNAUTHORIZED, "token_expired", "토큰이 만료되었습니다."),
            Refusal::Token(TokenError::Claims | TokenError::Type | TokenError::Lifetime | TokenError::UserIdx) => {
                same(S::UNAUTHORIZED, "token_invalid", JWT_EXCEPTION)
            }
            Refusal::Token(TokenError::KeysUnavailable) => same(S::SERVICE_UNAVAILABLE, "keys_unavailable", NOT_SENT),
            Refusal::Forwarded(ForwardError::Missing(_)) => {
                same(S::BAD_REQUEST, "forwarded_identity_invalid", "Token null")
            }
            Refusal::Forwarded(ForwardError::Twice(_) | ForwardError::Malformed(_)) => {
                same(S::BAD_REQUEST, "forwarded_identity_invalid", JWT_EXCEPTION)
            }
            Refusal::PresenterIdxMissing => {
                same(S::BAD_REQUEST, "presenter_idx_invalid", "PresenterIdx는 null값이 올 수 없습니다.")
            }
            Refusal::PresenterIdxInvalid => {
                same(S::BAD_REQUEST, "presenter_idx_invalid", "룸 idx값이 정상적으로 오지 않습니다.")
            }
            Refusal::UserTypeInvalid => same(S::BAD_REQUEST, "user_type_invalid", NOT_SENT),
            Refusal::UserIdxInvalid => same(S::BAD_REQUEST, "user_idx_invalid", NOT_SENT),
            Refusal::MessageIdInvalid => same(S::BAD_REQUEST, "message_id_invalid", NOT_SENT),
            Refusal::QueryInvalid(_) => same(S::BAD_REQUEST, "query_invalid", NOT_SENT),
            Refusal::IdempotencyKeyInvalid | Refusal::IdempotencyKeyMissing => {
                same(S::BAD_REQUEST, "idempotency_key_invalid", NOT_SENT)
            }
            Refusal::IdempotencyKeyReused => same(S::UNPROCESSABLE_ENTITY, "idempotency_key_reused", NOT_SENT),
            Refusal::NothingUnderKey => same(S::NOT_FOUND, "request_not_found", "Not Found"),
            Refusal::UnsupportedMediaType | Refusal::UnsupportedEncoding => {
                same(S::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Unsupported Media Type")
            }
            Refusal::BodyMalformed(_) | Refusal::BodyBroken | Refusal::BodyAltered => {
                same(S::BAD_REQUEST, "body_malformed", NOT_SENT)
            }
            Refusal::BodyTooLarge => same(S::PAYLOAD_TOO_LARGE, "body_too_large", NOT_SENT),
            Refusal::BodyTimeout => same(S::REQUEST_TIMEOUT, "body_timeout", NOT_SENT),
            Refusal::Text(InvalidText::Empty) | Refusal::TextMissing(_) => {
                same(S::BAD_REQUEST, "text_empty", "보내는 채팅은 null이 될 수 없습니다.")
            }
            Refusal::Text(InvalidText::TooLong) | Refusal::Append(AppendError::TooLarge) => {
                same(S::BAD_REQUEST, "text_too_long", NOT_SENT)
            }
            Refusal::Text(InvalidText::Forbidden) => same(S::BAD_REQUEST, "text_forbidden_characters", NOT_SENT),
            Refusal::TextTooLongHere(_) => same(S::BAD_REQUEST, "text_too_long", NOT_SENT),
            Refusal::ReasonInvalid => same(S::BAD_REQUEST, "reason_invalid", NOT_SENT),
            Refusal::SecondsInvalid => same(S::BAD_REQUEST, "seconds_invalid", NOT_SENT),
            Refusal::Setting(_) | Refusal::SettingMissing => same(S::BAD_REQUEST, "setting_invalid", NOT_SENT),
            Refusal::Forbidden => same(S::FORBIDDEN, "forbidden", NOT_SENT),
            Refusal::PresenterBanned => same(S::CONFLICT, "presenter_not_bannable", NOT_SENT),
            Refusal::NotBanned => same(S::NOT_FOUND, "not_banned", NOT_SENT),
            Refusal::TooManyBans(_) => same(S::CONFLICT, "too_many_bans", NOT_SENT),
            Refusal::TooManyDecisions { .. } => same(S::TOO_MANY_REQUESTS, "decision_rate_limited", NOT_SENT),
            Refusal::Banned { .. } => same(S::FORBIDDEN, "msg_banned", "채팅이 금지된 사용자입니다."),
            Refusal::PresenterOnly => {
                same(S::FORBIDDEN, "msg_presenter_only", "현재 스트리머만 채팅을 보낼 수 있습니다.")
            }
            Refusal::Limited(Limited::SlowMode { .. }) => {
                let message = "느린 채팅 모드입니다. 잠시 후에 다시 보내주세요.";
                same(S::TOO_MANY_REQUESTS, "msg_slow_mode", message)
            }
            Refusal::Limited(Limited::Rate { .. }) => {
                let message = "채팅을 너무 빠르게 보내고 있습니다. 잠시 후에 다시 보내주세요.";
                same(S::TOO_MANY_REQUESTS, "msg_rate_limited", message)
            }
            Refusal::Limited(Limited::Duplicate) => {
                same(S::CONFLICT, "msg_duplicate", "이미 같은 내용의 채팅이 있습니다.")
            }
            Refusal::Rejected | Refusal::Denied { .. } => {
                same(S::UNPROCESSABLE_ENTITY, "msg_rejected", "사용할 수 없는 표현이 포함되어 있습니다.")
            }
            Refusal::ReviewUnavailable => same(S::SERVICE_UNAVAILABLE, "review_unavailable", NOT_SENT),
            Refusal::RoomNotLive => Wire {
                original_status: S::BAD_REQUEST,
                ..same(S::CONFLICT, "room_not_live", "해당 스트리머는 현재 방송 중이지 않습니다.")
            },
            Refusal::RoomServerUnavailable => same(S::SERVICE_UNAVAILABLE, "room_server_unavailable", NOT_SENT),
            Refusal::Overloaded | Refusal::Append(AppendError::Busy) => {
                same(S::SERVICE_UNAVAILABLE, "overloaded", NOT_SENT)
            }
            Refusal::Append(AppendError::Full) => same(S::SERVICE_UNAVAILABLE, "log_full", NOT_SENT),
            Refusal::Append(AppendError::Unavailable) => same(S::SERVICE_UNAVAILABLE, "log_unavailable", NOT_SENT),
            Refusal::Append(AppendError::Unknown) => same(S::SERVICE_UNAVAILABLE, "outcome_unknown", NOT_SENT),
            Refusal::NotFound => same(S::NOT_FOUND, "not_found", "Not Found"),
            Refusal::MethodNotAllowed => same(S::METHOD_NOT_ALLOWED, "method_not_allowed", "Method Not Allowed"),
        }
    }

    /// A plain sentence for whoever reads the answer.
    pub(crate) fn detail(&self) -> String {
        match self {
            Refusal::Token(error) => format!("{}.", capital(&error.to_string())),
            Refusal::Forwarded(error) => format!("{}.", capital(&error.to_string())),
            Refusal::PresenterIdxMissing => {
                format!("The member \"presenterIdx\" is missing or null: of a viewer it must be {IDX_BOUNDS}.")
            }
            Refusal::PresenterIdxInvalid => format!("The presenterIdx must be {IDX_BOUNDS}."),
            Refusal::UserTypeInvalid => "The userType must be \"presenter\" or \"viewer\".".to_owned(),
            Refusal::UserIdxInvalid => format!("The userIdx must be {IDX_BOUNDS}."),
            Refusal::MessageIdInvalid => "The messageId must be a UUID.".to_owned(),
            Refusal::QueryInvalid(what) => what.clone(),
            Refusal::IdempotencyKeyReused => {
                "The Idempotency-Key was used for another request. Make one up for each.".to_owned()
            }
            Refusal::NothingUnderKey => "Nothing was accepted under the Idempotency-Key lately.".to_owned(),
            Refusal::TextTooLongHere(length) => format!("The room allows texts of at most {length} characters."),
            Refusal::ReasonInvalid => {
                format!("The reason must be one line of 1 to {LONGEST_TEXT} characters, as a message.")
            }
            Refusal::SecondsInvalid => {
                format!("The seconds must be an integer from 1 to {LONGEST_TERM_SECONDS}, or absent: for good.")
            }
            Refusal::Setting(error) => format!("{}.", capital(&error.to_string())),
            Refusal::SettingMissing => {
                format!("The member \"settings\" names nothing to change: it must have one or more of {NAMED}.")
            }
            Refusal::Forbidden => {
                "Only a token with the scope chat:moderate, or in a room its presenter, may do this.".to_owned()
            }
            Refusal::PresenterBanned => "A presenter cannot be banned in the own room.".to_owned(),
            Refusal::NotBanned => "The user is not banned.".to_owned(),
            Refusal::TooManyBans(most) => {
                format!("There are {most} bans already, and there can be no more: lift one first.")
            }
            Refusal::TooManyDecisions { .. } => "Too many decisions in too short a time.".to_owned(),
            Refusal::Banned { until: None } => "The user is banned.".to_owned(),
            Refusal::Banned { until: Some(until) } => format!("The user is banned until {until:.3}."),
            Refusal::PresenterOnly => "Only the presenter may write at the moment.".to_owned(),
            Refusal::IdempotencyKeyInvalid => {
                "The header Idempotency-Key must be there once at most, with 1 to 255 visible ASCII characters.".to_owned()
            }
            Refusal::IdempotencyKeyMissing => {
                "The header Idempotency-Key is missing: it must be the key of the request in question.".to_owned()
            }
            Refusal::UnsupportedMediaType => {
                "The body must be JSON in UTF-8, and the header Content-Type must say so: application/json.".to_owned()
            }
            Refusal::UnsupportedEncoding => {
                "The body must not be compressed, and the header Content-Encoding must not say that it is.".to_owned()
            }
            Refusal::BodyMalformed(Malformed { what, .. }) => what.clone(),
            Refusal::BodyBroken => "The body ended before its end.".to_owned(),
            Refusal::BodyAltered => {
                "The body does not have the SHA-256 that the header Content-Digest says (RFC 9530).".to_owned()
            }
            Refusal::BodyTooLarge => "The body has more than 64 KB.".to_owned(),
            Refusal::BodyTimeout => "The body did not arrive in time.".to_owned(),
            Refusal::Text(InvalidText::Empty) => {
                format!("The text has nothing to see: it must be one line of 1 to {LONGEST_TEXT} characters.")
            }
            Refusal::TextMissing(name) => {
                format!("The member {name:?} is missing or null: it must be one line of 1 to {LONGEST_TEXT} characters.")
            }
            Refusal::Text(InvalidText::TooLong) | Refusal::Append(AppendError::TooLarge) => {
                format!("The text must have at most {LONGEST_TEXT} characters and {LONGEST_TEXT_BYTES} bytes.")
            }
            Refusal::Text(InvalidText::Forbidden) => {
                "The text must not have line breaks, other control characters, bidi overrides, noncharacters or half of \
                 a surrogate pair."
                    .to_owned()
            }
            Refusal::Limited(Limited::SlowMode { .. }) => {
                "The room is in slow mode, and the last message was a moment ago.".to_owned()
            }
            Refusal::Limited(Limited::Rate { .. }) => "Too many messages in too short a time.".to_owned(),
            Refusal::Limited(Limited::Duplicate) => {
                "The room wants no message twice, and this one was there a moment ago.".to_owned()
            }
            Refusal::Rejected | Refusal::Denied { reason: None } => {
                "The message has what may not be said here.".to_owned()
            }
            Refusal::Denied { reason: Some(reason) } => format!("The message was refused: {reason}"),
            Refusal::ReviewUnavailable => "The message cannot be reviewed at the moment.".to_owned(),
            Refusal::RoomNotLive => "The room is not live.".to_owned(),
            Refusal::RoomServerUnavailable => "It cannot be found out whether the room is live.".to_owned(),
            Refusal::Overloaded => "Too many messages are being handled.".to_owned(),
            Refusal::Append(error) => format!("{}.", capital(&error.to_string())),
            Refusal::NotFound => "There is nothing at this address.".to_owned(),
            Refusal::MethodNotAllowed => "This address has other methods.".to_owned(),
        }
    }

    /// Whether the message is in the log, said where it is a question: with a 503.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Refusal::Append(AppendError::Unknown) => "unknown",
            _ => "not_stored",
        }
    }

    /// When another try may do better, if it is worth one.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            // A full log has to be emptied by somebody.
            Refusal::Append(AppendError::Full) => Some(Duration::from_secs(5)),
            Refusal::Limited(Limited::SlowMode { retry_after } | Limited::Rate { retry_after, .. })
            | Refusal::TooManyDecisions { retry_after, .. } => Some(*retry_after),
            _ => self.is_outage().then_some(Duration::from_secs(1)),
        }
    }

    /// Whether the sender could do nothing about it; then it is a question whether the message is in the log.
    pub(crate) fn is_outage(&self) -> bool {
        self.wire().status == StatusCode::SERVICE_UNAVAILABLE
    }

    /// How much the sender may write, where that is the reason.
    pub(crate) fn quota(&self) -> Option<Quota> {
        match self {
            Refusal::Limited(Limited::Rate { quota, .. }) | Refusal::TooManyDecisions { quota, .. } => Some(*quota),
            _ => None,
        }
    }

    /// Of a 400: the page, below `docs/`, that says what would have been right.
    fn page(&self) -> Option<&'static str> {
        let page = match self {
            Refusal::BodyMalformed(Malformed { page, .. }) => page,
            Refusal::Forwarded(_) => "reference/ingest-api.md#authentication",
            Refusal::PresenterIdxMissing | Refusal::UserTypeInvalid => "reference/ingest-api.md#post-sendmessage",
            Refusal::PresenterIdxInvalid | Refusal::UserIdxInvalid => "reference/ingest-api.md#user-and-room-numbers",
            Refusal::MessageIdInvalid => "reference/moderation.md#delete-a-message",
            Refusal::QueryInvalid(_) => "reference/moderation.md#list-bans",
            Refusal::IdempotencyKeyInvalid => "reference/moderation.md#retries",
            Refusal::IdempotencyKeyMissing => "reference/ingest-api.md#look-up-a-request",
            Refusal::Setting(_) | Refusal::SettingMissing => "reference/moderation.md#settings",
            Refusal::SecondsInvalid => "reference/moderation.md#ban-time-out-unban",
            Refusal::BodyBroken | Refusal::BodyAltered => "reference/ingest-api.md#errors",
            Refusal::Text(_) | Refusal::TextMissing(_) | Refusal::TextTooLongHere(_) | Refusal::ReasonInvalid => {
                "reference/ingest-api.md#message-text"
            }
            Refusal::Append(AppendError::TooLarge) => "reference/ingest-api.md#message-text",
            _ => return None,
        };
        Some(page)
    }

    /// Quietly: what is behind a wave of refusals is logged once, where it is noticed.
    pub(crate) fn log(&self) {
        let code = self.wire().code;
        tracing::debug!(code, "refused a request: {code}");
    }

    /// The answer on `/v1`.
    pub(crate) fn problem(&self) -> Problem {
        let wire = self.wire();
        let detail = match self.page() {
            Some(page) => format!("{} See docs/{page}.", self.detail()),
            None => self.detail(),
        };
        let mut problem = Problem::new(wire.status, wire.code, detail);
        if let Refusal::Banned { until: Some(until) } = self {
            problem = problem.with("until", format!("{until:.3}"));
        }
        if self.is_outage() {
            problem = problem.with("outcome", self.outcome());
        }
        match self.retry_after() {
            Some(delay) => problem.retry_after(delay),
            None => problem,
        }
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Refusal {
        Refusal::Token(error)
    }
}

impl From<ForwardError> for Refusal {
    fn from(error: ForwardError) -> Refusal {
        Refusal::Forwarded(error)
    }
}

impl From<InvalidText> for Refusal {
    fn from(error: InvalidText) -> Refusal {
        Refusal::Text(error)
    }
}

impl From<Limited> for Refusal {
    fn from(limited: Limited) -> Refusal {
        Refusal::Limited(limited)
    }
}

impl From<InvalidSetting> for Refusal {
    fn from(error: InvalidSetting) -> Refusal {
        Refusal::Setting(error)
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Refusal {
        Refusal::Append(error)
    }
}

fn capital(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
}
