//! The table of refusals: a row for each, with its answers on both surfaces. A new refusal is a row here, and the
//! compiler asks for it.

use std::time::Duration;

use chat::settings::{InvalidSetting, NAMED};
use chat::{InvalidAttributes, InvalidEmotes, ReportCategory};
use jiff::Timestamp;
use nats::AppendError;
use web::IDX_BOUNDS;
use web::auth::TokenError;

use super::{Malformed, Part, Refusal, Row, tokens};
use crate::http::gateway::ForwardError;
use crate::moderation::sweep_order::{InvalidForward, InvalidRule, LONGEST_SECONDS_BACK};
use crate::moderation::term::{LONGEST_PURGE_SECONDS, LONGEST_TERM_SECONDS};
use crate::posting::limits::{self, Quota};
use crate::posting::text::{InvalidText, LONGEST_TEXT, LONGEST_TEXT_BYTES};

pub(super) const NOT_SENT: &str = "채팅이 정상적으로 전송되지 않았습니다.";
pub(super) const JWT_EXCEPTION: &str = "Jwt Exception";
const REJECTED: &str = "사용할 수 없는 표현이 포함되어 있습니다.";
const UNSUPPORTED: &str = "Unsupported Media Type";

const AUTHENTICATION: &str = "reference/ingest-api.md#authentication";
const ORIGINAL_BODY: &str = "reference/ingest-api.md#post-sendmessage";
const NUMBERS: &str = "reference/ingest-api.md#user-and-room-numbers";
const TEXT: &str = "reference/ingest-api.md#message-text";
const EXTRAS: &str = "reference/ingest-api.md#answers-and-attributes";
const EMOTES: &str = "reference/ingest-api.md#emotes";
const LOOKUP: &str = "reference/ingest-api.md#look-up-a-request";
const ERRORS: &str = "reference/ingest-api.md#errors";
const RETRIES: &str = "reference/moderation.md#retries";
const DELETION: &str = "reference/moderation.md#delete-a-message";
const HOLDS: &str = "reference/moderation.md#held-messages";
const SWEEPS: &str = "reference/moderation.md#sweeps";
const BANS: &str = "reference/moderation.md#list-bans";
const BAN: &str = "reference/moderation.md#ban-time-out-unban";
const WARNINGS: &str = "reference/moderation.md#warnings";
const NOTES: &str = "reference/moderation.md#notes-on-a-user";
const REPORTS: &str = "reference/moderation.md#report-a-message";
const SETTINGS: &str = "reference/moderation.md#settings";

/// One row for each refusal: `{ refusal } with example values => part, status, code, sentence, Korean sentence`. The
/// tokens in braces are the refusal's pattern. With the example values they also build an example of it.
macro_rules! table {
    ($(
        { $($refusal:tt)+ } $(with $name:ident = $value:expr)* =>
            $part:ident, $status:expr, $code:expr, $detail:expr, $original_message:expr
            $(, original status $original_status:expr)? $(, see $page:expr)? $(, retry after $retry:expr)?;
    )+) => {
        impl Refusal {
            /// The refusal's row.
            #[allow(unused_variables, reason = "a pattern is also an example, so it names all members")]
            pub(crate) fn row(&self) -> Row {
                use Refusal::*;
                match self {
                    $($($refusal)+ => {
                        let row = Row {
                            status: $status,
                            code: $code,
                            detail: String::from($detail),
                            original_status: $status,
                            original_message: $original_message,
                            page: None,
                            // Most outages pass soon.
                            retry_after: ($status == 503).then_some(Duration::from_secs(1)),
                            part: Part::$part,
                        };
                        $(let row = Row { original_status: $original_status, ..row };)?
                        $(let row = Row { page: Some($page), ..row };)?
                        $(let row = Row { retry_after: Some($retry), ..row };)?
                        row
                    })+
                }
            }

            /// An example of each row.
            pub(super) fn examples() -> Vec<Refusal> {
                use Refusal::*;
                vec![$({
                    $(let $name = $value;)*
                    $($refusal)+
                }),+]
            }
        }
    };
}

table! {
    { Token(error) } with error = TokenError::Missing => Token, error.status().as_u16(), error.code(), error.detail(),
        tokens::original_message(*error), original status tokens::original_status(*error);
    { Forwarded(ForwardError::Missing(header)) } with header = "x-forward-useridx" =>
        Head, 400, "forwarded_identity_invalid", sentence(ForwardError::Missing(header)),
        "Token null", see AUTHENTICATION;
    { Forwarded(ForwardError::Twice(header)) } with header = "x-forward-useridx" =>
        Head, 400, "forwarded_identity_invalid", sentence(ForwardError::Twice(header)),
        JWT_EXCEPTION, see AUTHENTICATION;
    { Forwarded(ForwardError::Malformed(header)) } with header = "x-forward-useridx" =>
        Head, 400, "forwarded_identity_invalid", sentence(ForwardError::Malformed(header)),
        JWT_EXCEPTION, see AUTHENTICATION;
    { PresenterIdxMissing } => OriginalBody, 400, "presenter_idx_invalid",
        format!("The member \"presenterIdx\" is missing or null. A viewer must send {IDX_BOUNDS}."),
        "PresenterIdx는 null값이 올 수 없습니다.", see ORIGINAL_BODY;
    { PresenterIdxInvalid } => Room, 400, "presenter_idx_invalid",
        format!("The presenterIdx must be {IDX_BOUNDS}."), "룸 idx값이 정상적으로 오지 않습니다.", see NUMBERS;
    { UserTypeInvalid } => OriginalBody, 400, "user_type_invalid",
        "The userType must be \"presenter\" or \"viewer\".", NOT_SENT, see ORIGINAL_BODY;
    { UserIdxInvalid } =>
        User, 400, "user_idx_invalid", format!("The userIdx must be {IDX_BOUNDS}."), NOT_SENT, see NUMBERS;
    { MessageIdInvalid } => Message, 400, "message_id_invalid", "The messageId must be a UUID.", NOT_SENT, see DELETION;
    { QueryInvalid(what) } with what = "The parameter \"first\" must be an integer from 1 to 1000.".to_owned() =>
        Query, 400, "query_invalid", what, NOT_SENT, see BANS;
    { IdempotencyKeyInvalid } => Head, 400, "idempotency_key_invalid",
        "The header Idempotency-Key may appear once, with 1 to 255 visible ASCII characters.", NOT_SENT, see RETRIES;
    { IdempotencyKeyMissing } => Lookup, 400, "idempotency_key_invalid",
        "The header Idempotency-Key is missing. Send the key of the request to look up.", NOT_SENT, see LOOKUP;
    { IdempotencyKeyReused } => Append, 422, "idempotency_key_reused",
        "The Idempotency-Key was used for another request. Use a new key for each request.", NOT_SENT;
    { NothingUnderKey } => Lookup, 404, "request_not_found",
        "No request was accepted under the Idempotency-Key recently.", "Not Found";
    { UnsupportedMediaType } => Body, 415, "unsupported_media_type",
        "The body must be JSON in UTF-8. Set the header Content-Type to application/json.", UNSUPPORTED;
    { UnsupportedEncoding } => Body, 415, "unsupported_media_type",
        "The body must not be compressed. Remove the header Content-Encoding.", UNSUPPORTED;
    { BodyMalformed(Malformed { what, page }) }
        with what = "The member \"reason\" must be a string, null or absent.".to_owned() with page = SETTINGS =>
        Body, 400, "body_malformed", what, NOT_SENT, see *page;
    { BodyBroken } => Body, 400, "body_malformed", "The body ended early. Send it again.", NOT_SENT, see ERRORS;
    { BodyAltered } => Body, 400, "body_malformed",
        "The body does not match the SHA-256 digest in the header Content-Digest (RFC 9530).", NOT_SENT, see ERRORS;
    { BodyTooLarge } => Body, 413, "body_too_large", "The body is larger than 64 KB.", NOT_SENT;
    { BodyTimeout } => Body, 408, "body_timeout", "The body did not arrive in time.", NOT_SENT;
    { Text(InvalidText::Empty) } => Text, 400, "text_empty",
        format!("The text has no visible characters. Send one line of 1 to {LONGEST_TEXT} characters."),
        "보내는 채팅은 null이 될 수 없습니다.", see TEXT;
    { Text(InvalidText::TooLong) } => Text, 400, "text_too_long",
        format!("The text may have at most {LONGEST_TEXT} characters and {LONGEST_TEXT_BYTES} bytes."),
        NOT_SENT, see TEXT;
    { Text(InvalidText::Forbidden) } => Text, 400, "text_forbidden_characters",
        "The text must not contain line breaks, other control characters, bidi overrides, noncharacters or half of a \
         surrogate pair.", NOT_SENT, see TEXT;
    { TextMissing(member) } with member = "text" => Text, 400, "text_empty",
        format!("The member {member:?} is missing or null. Send one line of 1 to {LONGEST_TEXT} characters."),
        "보내는 채팅은 null이 될 수 없습니다.", see TEXT;
    { TextTooLongHere(length) } with length = 200 => Posting, 400, "text_too_long",
        format!("The room allows at most {length} characters."), NOT_SENT, see TEXT;
    { ReplyToInvalid } => Extras, 400, "reply_to_invalid",
        "The member \"replyTo\" must be the id of a message, a UUID. Leave it out for a message that answers none.",
        NOT_SENT, see EXTRAS;
    { Attributes(error) } with error = InvalidAttributes::Null("badges".to_owned()) =>
        Extras, 400, "attributes_invalid", sentence(error), NOT_SENT, see EXTRAS;
    { AttributesForbidden } => Extras, 403, "forbidden",
        "The member \"attributes\" requires a token with the scope chat:attributes.", NOT_SENT, see EXTRAS;
    { Emotes(error) } with error = InvalidEmotes::Blank(0) =>
        Extras, 400, "emotes_invalid", sentence(error), NOT_SENT, see EMOTES;
    { EmotesForbidden } => Extras, 403, "emotes_forbidden",
        "The member \"emotes\" requires a token with the scope chat:attributes, or one whose claim chat_emotes names \
         the emotes.", NOT_SENT, see EMOTES;
    { EmoteForbidden(id) } with id = "wave".to_owned() => Extras, 403, "emotes_forbidden",
        format!("The token's claim chat_emotes does not name the emote {id:?}. Leave it out."), NOT_SENT, see EMOTES;
    { ReasonInvalid } => Reason, 400, "reason_invalid",
        format!("The reason must be one line of 1 to {LONGEST_TEXT} characters, like a message."), NOT_SENT, see TEXT;
    { SecondsInvalid } => Seconds, 400, "seconds_invalid",
        format!("The seconds must be an integer from 1 to {LONGEST_TERM_SECONDS}. Leave them out for no end."),
        NOT_SENT, see BAN;
    { PurgeSecondsInvalid } => Purge, 400, "purge_seconds_invalid",
        format!(
            "The purgeSeconds must be an integer from 1 to {LONGEST_PURGE_SECONDS}. Leave them out to delete nothing."
        ),
        NOT_SENT, see BAN;
    { PurgeEverywhere } => PurgeEverywhere, 400, "purge_seconds_invalid",
        "A ban from every room cannot delete messages. Leave purgeSeconds out, and ban the user from a room to delete \
         them there.",
        NOT_SENT, see BAN;
    { CategoryInvalid } => Report, 400, "category_invalid",
        format!("The category must be one of {}.", categories()), NOT_SENT, see REPORTS;
    { Setting(error) } with error = InvalidSetting::Value("uniqueChat", "true or false") =>
        Settings, 400, "setting_invalid", sentence(error), NOT_SENT, see SETTINGS;
    { SettingMissing } => Settings, 400, "setting_invalid",
        format!("The member \"settings\" is empty. Send one or more of {NAMED}."), NOT_SENT, see SETTINGS;
    { NotDeleted } => Deletion, 404, "not_deleted", "The message is not deleted: it was restored already.", NOT_SENT;
    { Rule(error) } with error = InvalidRule::Members =>
        NewSweep, 400, "rule_invalid", sentence(error), NOT_SENT, see SWEEPS;
    { SecondsBackInvalid } => NewSweep, 400, "seconds_back_invalid",
        format!("The secondsBack must be an integer from 1 to {LONGEST_SECONDS_BACK}."), NOT_SENT, see SWEEPS;
    { Forward(InvalidForward::Seconds) } =>
        NewSweep, 400, "seconds_forward_invalid", sentence(InvalidForward::Seconds), NOT_SENT, see SWEEPS;
    { Forward(InvalidForward::Action) } =>
        NewSweep, 400, "forward_invalid", sentence(InvalidForward::Action), NOT_SENT, see SWEEPS;
    { FirstSeenUnknown } => NewSweep, 503, "first_seen_unknown",
        "The log cannot tell which users are new, and nothing was swept. Use a smaller firstSeenSeconds, or sweep by \
         texts or users.", NOT_SENT, see SWEEPS;
    { TooManySweeps(most) } with most = 50 => NewSweep, 409, "too_many_sweeps",
        format!("The room has {most} sweeps that can still be undone, the maximum. Undo one, or wait until the oldest \
                 can no longer be undone."), NOT_SENT, see SWEEPS;
    { SweepIdInvalid } => Sweep, 400, "sweep_id_invalid", "The sweepId must be a UUID.", NOT_SENT, see SWEEPS;
    { NotSwept } => Sweep, 404, "not_swept",
        "No such sweep of the room can be undone. It may be undone already, or its time may be over.",
        NOT_SENT, see SWEEPS;
    { NotHeld } => Held, 404, "not_held",
        "No such message waits for a moderator in the room. Its time may be over, or it was deleted.",
        NOT_SENT, see HOLDS;
    { AlreadyReleased } => Held, 409, "already_released",
        "The message was released before. Delete it to remove it from the room.", NOT_SENT, see HOLDS;
    { AlreadyDenied } => Held, 409, "already_denied", "The message was denied before.", NOT_SENT, see HOLDS;
    { NotPinned } => Pin, 404, "not_pinned", "The room has no pinned message.", NOT_SENT;
    { Forbidden } => Moderator, 403, "forbidden",
        "This requires a token with the scope chat:moderate or, in a room, the token of its presenter or of one of its \
         moderators.", NOT_SENT;
    { NotOverModerators } => Appointing, 403, "forbidden",
        "Only the room's presenter, or a token with the scope chat:moderate, can appoint and remove moderators.",
        NOT_SENT;
    { PresenterBanned } => Banning, 409, "presenter_not_bannable",
        "A presenter cannot be banned from their own room.", NOT_SENT;
    { ModeratorProtected } => Banning, 403, "moderator_not_bannable",
        "A moderator of the room cannot ban another one. Ask the room's presenter.", NOT_SENT;
    { NotBanned } => Ban, 404, "not_banned", "The user is not banned.", NOT_SENT;
    { TooManyBans(most) } with most = 10_000 => NewBan, 409, "too_many_bans",
        format!("There are already {most} bans, the maximum. Lift one first."), NOT_SENT;
    { PresenterNotAppointable } => NewModerator, 409, "presenter_not_appointable",
        "A presenter cannot be a moderator of their own room: they have every right there.", NOT_SENT;
    { BannedNotAppointable } => NewModerator, 409, "banned_not_appointable",
        "The user is banned. Lift the ban first.", NOT_SENT;
    { TooManyModerators(most) } with most = 100 => NewModerator, 409, "too_many_moderators",
        format!("The room has {most} moderators, the maximum. Remove one first."), NOT_SENT;
    { NotModerator } => Appointment, 404, "not_moderator", "The user is not a moderator of the room.", NOT_SENT;
    { ReasonMissing } => NewWarning, 400, "reason_invalid",
        format!("The member \"reason\" is missing or null: a warning must say why, in one line of 1 to {LONGEST_TEXT} \
                 characters."), NOT_SENT, see WARNINGS;
    { PresenterNotWarnable } => NewWarning, 409, "presenter_not_warnable",
        "A presenter cannot be warned in their own room.", NOT_SENT;
    { ModeratorNotWarnable } => NewWarning, 403, "moderator_not_warnable",
        "A moderator of the room cannot warn another one. Ask the room's presenter.", NOT_SENT;
    { NotWarned } => Warning, 404, "not_warned", "The user has no warning in the room.", NOT_SENT;
    { TooManyWarnings(most) } with most = 10_000 => NewWarning, 409, "too_many_warnings",
        format!("The room has {most} warnings, the maximum. Withdraw one first."), NOT_SENT;
    { NoteIdInvalid } => Note, 400, "note_id_invalid", "The noteId must be a UUID.", NOT_SENT, see NOTES;
    { NoteNotFound } => Note, 404, "note_not_found", "There is no such note on the user in the room.", NOT_SENT;
    { TooManyNotes(most) } with most = 50 => NewNote, 409, "too_many_notes",
        format!("There are {most} notes already, the maximum. Delete one first."), NOT_SENT;
    { TooManyDecisions(limits::Spent { retry_after, quota }) }
        with retry_after = Duration::from_secs(2) with quota = Quota::example("decisions") =>
        Decision, 429, "decision_rate_limited",
        "Too many moderation requests in a short time. Retry after the time in Retry-After.",
        NOT_SENT, retry after *retry_after;
    { TooManyReports(limits::Spent { retry_after, quota }) }
        with retry_after = Duration::from_secs(2) with quota = Quota::example("reports") =>
        Report, 429, "report_rate_limited",
        "Too many reports in a short time. Retry after the time in Retry-After.", NOT_SENT, retry after *retry_after;
    { TooManyReads(limits::Spent { retry_after, quota }) }
        with retry_after = Duration::from_secs(2) with quota = Quota::example("reads") =>
        Read, 429, "read_rate_limited",
        "Too many GET requests in a short time. Retry after the time in Retry-After.",
        NOT_SENT, retry after *retry_after;
    { Banned { until: None } } => Posting, 403, "msg_banned", "The user is banned.", "채팅이 금지된 사용자입니다.";
    { Banned { until: Some(until) } } with until = Timestamp::UNIX_EPOCH => Posting, 403, "msg_banned",
        format!("The user is banned until {until:.3}."), "채팅이 금지된 사용자입니다.";
    { PresenterOnly } => Posting, 403, "msg_presenter_only",
        "Only the presenter and moderators may write at the moment.", "현재 스트리머만 채팅을 보낼 수 있습니다.";
    { EmojiOnly } => Posting, 403, "msg_emoji_only",
        "The room accepts nothing but emoji at the moment.", "현재 이모지만 보낼 수 있습니다.";
    { LinkForbidden } => Posting, 403, "msg_link_forbidden",
        "The room accepts links from its presenter and moderators only.", "이 방에서는 링크를 보낼 수 없습니다.";
    { Swept } => Posting, 403, "msg_swept", "The room does not accept messages like this one at the moment.",
        "지금은 이런 내용의 채팅을 보낼 수 없습니다.";
    { Limited(limits::Limited::SlowMode { retry_after }) } with retry_after = Duration::from_secs(5) =>
        Posting, 429, "msg_slow_mode", "The room is in slow mode. Retry after the time in Retry-After.",
        "느린 채팅 모드입니다. 잠시 후에 다시 보내주세요.", retry after *retry_after;
    { Limited(limits::Limited::Rate { retry_after, quota }) } with retry_after = Duration::from_secs(2)
        with quota = Quota::example("room") =>
        Posting, 429, "msg_rate_limited", "Too many messages in a short time. Retry after the time in Retry-After.",
        "채팅을 너무 빠르게 보내고 있습니다. 잠시 후에 다시 보내주세요.", retry after *retry_after;
    { Limited(limits::Limited::Duplicate) } => Posting, 409, "msg_duplicate",
        "The room does not accept repeated messages, and this one was sent recently.", "이미 같은 내용의 채팅이 있습니다.";
    { Rejected } => Posting, 422, "msg_rejected", "The message contains disallowed language.", REJECTED;
    { Denied { reason: None } } => Posting, 422, "msg_rejected", "The message contains disallowed language.", REJECTED;
    { Denied { reason: Some(reason) } } with reason = "politics".to_owned() => Posting, 422, "msg_rejected",
        format!("The message was refused: {reason}"), REJECTED;
    { ReviewUnavailable } =>
        Posting, 503, "review_unavailable", "The message could not be reviewed. Retry later.", NOT_SENT;
    { HoldQueueFull } => Posting, 429, "hold_queue_full",
        "The message would wait for a moderator, and too many messages do already. Retry later.", NOT_SENT,
        retry after Duration::from_secs(10);
    { RoomNotLive } => Posting, 409, "room_not_live", "The room is not live.",
        "해당 스트리머는 현재 방송 중이지 않습니다.", original status 400;
    { RoomServerUnavailable } => Posting, 503, "room_server_unavailable",
        "Could not determine whether the room is live. Retry later.", NOT_SENT;
    { Overloaded } => Head, 503, "overloaded", "The server is overloaded. Retry later.", NOT_SENT;
    { Append(AppendError::Full) } => Append, 503, "log_full", "The log is full. Retry later.", NOT_SENT,
        // An operator or the archiver has to make room.
        retry after Duration::from_secs(5);
    { Append(AppendError::Busy) } => Append, 503, "overloaded", "The server is overloaded. Retry later.", NOT_SENT;
    { Append(AppendError::Unavailable) } =>
        Append, 503, "log_unavailable", "The log cannot be reached. Retry later.", NOT_SENT;
    { Append(AppendError::Unknown) } => Append, 503, "outcome_unknown",
        "The append was not acknowledged in time: it may be stored or not. Retry under the same Idempotency-Key.",
        NOT_SENT;
    { Append(AppendError::TooLarge) } => Posting, 400, "text_too_long",
        format!("The text may have at most {LONGEST_TEXT} characters and {LONGEST_TEXT_BYTES} bytes."),
        NOT_SENT, see TEXT;
    { NotFound } => Path, 404, "not_found", "There is nothing at this URL.", "Not Found";
    { MethodNotAllowed } => Method, 405, "method_not_allowed", "Method not allowed for this URL.", "Method Not Allowed";
}

/// The categories of reports, as a list in a sentence.
fn categories() -> String {
    let names = ReportCategory::ALL.map(|category| format!("{:?}", category.as_str()));
    names.join(", ")
}

/// An error as a sentence.
fn sentence(error: impl std::fmt::Display) -> String {
    let error = error.to_string();
    let mut chars = error.chars();
    let capital = chars.next().into_iter().flat_map(char::to_uppercase);
    capital.chain(chars).chain(['.']).collect()
}
