//! The event: the one format that all parts of the system share. An event is one line of JSON, pinned by snapshots: a
//! changed snapshot is a changed contract. Readers ignore members that they do not know, and pass on events of kinds
//! that they do not know.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use crate::body::Body;
use crate::head::{Head, VERSION};
use crate::ids::{EventId, KeyId, PresenterIdx, RequestDigest};
use crate::kind::EventKind;
use crate::malformed::MalformedEvent;
use crate::posted::{PostedLine, posted_line};
use crate::time::{millis, now};

/// Something that happened in a room. All checks come before the append: nothing in the log can still be refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The event's identity. Of two events with the same id every reader keeps the first.
    pub id: EventId,
    /// The room. `None`: all rooms, which is possible only for a ban, its end, and an erasure.
    pub presenter: Option<PresenterIdx>,
    /// When the event happened, by the clock of the node that appended it, to the millisecond. The log decides the
    /// order, not this time.
    pub at: Timestamp,
    /// Whether the event may have happened long before it was stored, as an event of a recording does. For other events
    /// a large difference counts as a clock error: see `nats::Entry::at`.
    pub belated: bool,
    /// The request that caused the event, if it had an idempotency key. Ingest uses it to detect a different request
    /// under the same key.
    pub request: Option<Request>,
    /// What happened.
    pub body: Body,
}

/// A request with an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The key: the member `requestKey`. Events of older versions have no such member, and their id names the key.
    pub key: KeyId,
    /// The digest of the request: the member `request`.
    pub digest: RequestDigest,
}

impl Event {
    /// An event of a room that happens now, with a new id.
    pub fn now(presenter: PresenterIdx, body: Body) -> Event {
        Event { id: EventId::new(), presenter: Some(presenter), at: now(), belated: false, request: None, body }
    }

    /// An event of all rooms that happens now, with a new id.
    pub fn of_every_room(body: Body) -> Event {
        Event { id: EventId::new(), presenter: None, at: now(), belated: false, request: None, body }
    }

    /// The same event, with the time at which it was recorded. That may be long before it is stored.
    #[must_use]
    pub fn recorded_at(self, at: Timestamp) -> Event {
        Event { at, belated: true, ..self }
    }

    /// The event as one line of JSON, without the line feed.
    pub fn to_line(&self) -> Bytes {
        match &self.body {
            Body::MessagePosted(message) => posted_line(self, message).map_or_else(|| self.serialized(), Bytes::from),
            _ => self.serialized(),
        }
    }

    /// The same line, by serde.
    pub(crate) fn serialized(&self) -> Bytes {
        #[derive(Serialize)]
        struct Line<'a, B> {
            v: u32,
            id: EventId,
            #[serde(rename = "type")]
            kind: &'a EventKind,
            #[serde(rename = "presenterIdx", skip_serializing_if = "Option::is_none")]
            presenter: Option<PresenterIdx>,
            #[serde(with = "millis")]
            at: Timestamp,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            belated: bool,
            #[serde(rename = "requestKey", skip_serializing_if = "Option::is_none")]
            key: Option<KeyId>,
            #[serde(skip_serializing_if = "Option::is_none")]
            request: Option<RequestDigest>,
            #[serde(flatten)]
            body: B,
        }
        fn line<B: Serialize>(event: &Event, body: B) -> Bytes {
            let Event { id, presenter, at, belated, request, .. } = *event;
            let kind = &event.body.kind();
            let key = request.map(|request| request.key).filter(|key| *key != KeyId::of_event(id));
            let request = request.map(|request| request.digest);
            let line = Line { v: VERSION, id, kind, presenter, at, belated, key, request, body };
            serde_json::to_vec(&line).expect("an event has string keys and no failing serializer").into()
        }
        match &self.body {
            Body::MessagePosted(body) => line(self, body),
            Body::MessageDeleted(body) => line(self, body),
            Body::MessageRestored(body) => line(self, body),
            Body::MessageHeld(body) => line(self, body),
            Body::MessageReleased(body) => line(self, body),
            Body::MessageDenied(body) => line(self, body),
            Body::NoticePosted(body) => line(self, body),
            Body::MessagePinned(body) => line(self, body),
            Body::MessageUnpinned(body) => line(self, body),
            Body::MessageReported(body) => line(self, body),
            Body::ReportClosed(body) => line(self, body),
            Body::UserBanned(body) => line(self, body),
            Body::UserUnbanned(body) => line(self, body),
            Body::ModeratorAdded(body) => line(self, body),
            Body::ModeratorRemoved(body) => line(self, body),
            Body::UserWarned(body) => line(self, body),
            Body::WarningWithdrawn(body) => line(self, body),
            Body::WarningSent(body) => line(self, body),
            Body::NoteAdded(body) => line(self, body),
            Body::NoteDeleted(body) => line(self, body),
            Body::RoomCleared(body) => line(self, body),
            Body::RoomUpdated(body) => line(self, body),
            Body::RoomSwept(body) => line(self, body),
            Body::SweepUndone(body) => line(self, body),
            Body::UserErased(body) => line(self, body),
            Body::PresenterConnected(body) => line(self, body),
            Body::PresenterDisconnected(body) => line(self, body),
            Body::Unknown { members, .. } => line(self, members),
        }
    }

    /// Reads a line that [`Event::to_line`] of this or a later version wrote.
    ///
    /// # Errors
    /// The line is not an event of this version.
    pub fn from_line(line: &[u8]) -> Result<Event, MalformedEvent> {
        let (head, body) = match PostedLine::scan(line) {
            Some(posted) => (Head::posted(&posted), Body::posted(&posted)?),
            None => {
                let head = Head::parsed(line)?;
                let body = Body::parsed(&head.kind, line)?;
                (head, body)
            }
        };
        let Head { id, presenter, at, belated, key, request, .. } = head;
        let request = request.map(|digest| Request { key: key.unwrap_or(KeyId::of_event(id)), digest });
        Ok(Event { id, presenter, at, belated, request, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One event of every type, as it stands in the log.
    const LINES: [&str; 41] = [
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000001","type":"message.posted","presenterIdx":42,"at":"2026-11-22T12:34:56.789Z","user":{"idx":7,"nickname":"별명","role":"viewer"},"text":"안녕하세요 👋"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000002","type":"message.posted","presenterIdx":42,"at":"2026-11-22T12:34:57.000Z","user":{"idx":42,"nickname":"presenter","role":"presenter"},"text":"\"quoted\" \\ line","flags":["ko.abuse"]}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000003","type":"message.deleted","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","target":"019ab5a0-8000-7000-8000-000000000001","by":{"idx":42,"nickname":"presenter","role":"presenter"},"reason":"off topic"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000004","type":"user.banned","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","user":7,"until":"2026-11-22T12:45:00.000Z","by":{"idx":3,"nickname":"mod","role":"moderator"},"reason":"spam"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000005","type":"user.banned","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","user":7,"by":{"idx":3,"nickname":"mod","role":"moderator"}}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000006","type":"user.unbanned","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","user":7,"by":{"idx":3,"nickname":"mod","role":"moderator"}}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000007","type":"room.cleared","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","by":{"idx":42,"nickname":"presenter","role":"presenter"}}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000008","type":"room.updated","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","settings":{"slowModeSeconds":5,"uniqueChat":true},"changed":["slowModeSeconds"],"until":{"slowModeSeconds":"2026-11-22T12:45:00.000Z"},"by":{"idx":42,"nickname":"presenter","role":"presenter"},"reason":"raid"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000009","type":"presenter.connected","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","session":"019ab5a0-8000-7000-8000-0000000000ff"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-00000000000a","type":"presenter.disconnected","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","session":"019ab5a0-8000-7000-8000-0000000000ff","reason":"closed"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-00000000000b","type":"poll.opened","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","answers":["a","b"],"question":"which?"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-5000-8000-00000000000c","type":"message.posted","presenterIdx":42,"at":"2026-11-22T12:34:58.000Z","request":"00d4a7e1b05f3c29","user":{"idx":7,"nickname":"별명","role":"viewer"},"text":"again"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-00000000000d","type":"user.banned","at":"2026-11-22T12:35:00.000Z","user":7,"by":{"idx":3,"nickname":"mod","role":"moderator"}}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-00000000000e","type":"user.unbanned","at":"2026-11-22T12:36:00.000Z","user":7,"by":{"idx":3,"nickname":"mod","role":"moderator"},"reason":"appeal"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000010","type":"message.posted","presenterIdx":42,"at":"2021-11-22T12:34:56.789Z","belated":true,"user":{"idx":7,"nickname":"별명","role":"viewer"},"text":"of a recording"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-00000000000f","type":"user.erased","at":"2026-11-22T12:37:00.000Z","user":7,"mode":"anonymise","by":{"idx":3,"nickname":"mod","role":"moderator"}}"#,
        r#"{"v":1,"id":"019ab5a0-8000-5000-8000-000000000011","type":"message.posted","presenterIdx":42,"at":"2026-11-22T12:34:59.000Z","requestKey":"019ab5a0-8000-5000-8000-0000000000aa","request":"00d4a7e1b05f3c29","user":{"idx":7,"nickname":"별명","role":"viewer"},"text":"under a key"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000012","type":"moderator.added","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","user":7,"by":{"idx":42,"nickname":"presenter","role":"presenter"}}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000013","type":"moderator.removed","presenterIdx":42,"at":"2026-11-22T12:36:00.000Z","user":7,"by":{"idx":3,"nickname":"mod","role":"moderator"},"reason":"left the team"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000014","type":"message.restored","presenterIdx":42,"at":"2026-11-22T12:35:10.000Z","target":"019ab5a0-8000-7000-8000-000000000001","by":{"idx":3,"nickname":"mod","role":"moderator"},"reason":"a mistake"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000015","type":"user.banned","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","user":7,"until":"2026-11-22T12:45:00.000Z","purgeSeconds":600,"by":{"idx":3,"nickname":"mod","role":"moderator"}}"#,
        r##"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000016","type":"message.posted","presenterIdx":42,"at":"2026-11-22T12:35:01.000Z","user":{"idx":7,"nickname":"별명","role":"viewer"},"text":"thanks","flags":["ko.abuse"],"replyTo":"019ab5a0-8000-7000-8000-000000000002","attributes":{"amount":5,"badges":[{"id":"subscriber","version":12}],"color":"#00C853"},"emotes":[{"id":"thx","start":0,"end":6}]}"##,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000017","type":"message.posted","presenterIdx":42,"at":"2026-11-22T12:35:01.000Z","user":{"idx":7,"nickname":"별명","role":"viewer"},"text":"yes","replyTo":"019ab5a0-8000-7000-8000-000000000002"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000018","type":"notice.posted","presenterIdx":42,"at":"2026-11-22T12:35:02.000Z","user":{"idx":42,"nickname":"presenter","role":"presenter"},"text":"the quiz starts"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000019","type":"message.pinned","presenterIdx":42,"at":"2026-11-22T12:35:03.000Z","target":"019ab5a0-8000-7000-8000-000000000018","by":{"idx":3,"nickname":"mod","role":"moderator"}}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-00000000001a","type":"message.unpinned","presenterIdx":42,"at":"2026-11-22T12:35:04.000Z","target":"019ab5a0-8000-7000-8000-000000000018","by":{"idx":3,"nickname":"mod","role":"moderator"}}"#,
        r#"{"v":1,"id":"019ab5a0-8000-5000-8000-000000000016","type":"message.reported","presenterIdx":42,"at":"2026-11-22T12:35:10.000Z","requestKey":"019ab5a0-8000-5000-8000-0000000000ab","request":"00d4a7e1b05f3c29","target":"019ab5a0-8000-7000-8000-000000000001","by":{"idx":8,"nickname":"viewer","role":"viewer"},"category":"spam","reason":"again and again"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000017","type":"report.closed","presenterIdx":42,"at":"2026-11-22T12:35:20.000Z","target":"019ab5a0-8000-7000-8000-000000000001","by":{"idx":3,"nickname":"mod","role":"moderator"},"reason":"harmless"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-5000-8000-000000000016","type":"message.held","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","requestKey":"019ab5a0-8000-5000-8000-0000000000aa","request":"00d4a7e1b05f3c29","target":"019ab5a0-8000-7000-8000-000000000017","until":"2026-11-22T12:45:00.000Z","user":{"idx":7,"nickname":"별명","role":"viewer"},"text":"held","flags":["ko.abuse"],"replyTo":"019ab5a0-8000-7000-8000-000000000002","attributes":{"amount":5,"badges":[{"id":"subscriber","version":12}]},"emotes":[{"id":"wait_1","start":0,"end":4}]}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000017","type":"message.posted","presenterIdx":42,"at":"2026-11-22T12:36:00.000Z","user":{"idx":7,"nickname":"별명","role":"viewer"},"text":"held","flags":["ko.abuse"],"replyTo":"019ab5a0-8000-7000-8000-000000000002","attributes":{"amount":5,"badges":[{"id":"subscriber","version":12}]},"emotes":[{"id":"wait_1","start":0,"end":4}],"held":{"at":"2026-11-22T12:35:00.000Z","position":"1879f0c3a1b2c3d4-1f-3","by":{"idx":3,"nickname":"mod","role":"moderator"},"reason":"harmless"}}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000017","type":"message.denied","presenterIdx":42,"at":"2026-11-22T12:36:00.000Z","target":"019ab5a0-8000-7000-8000-000000000017","user":7,"by":{"idx":3,"nickname":"mod","role":"moderator"},"reason":"harmful"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000018","type":"room.swept","presenterIdx":42,"at":"2026-11-22T12:36:00.000Z","rule":{"texts":["come to my room","도배"],"users":[7,8],"label":"ko.abuse"},"secondsBack":600,"by":{"idx":3,"nickname":"mod","role":"moderator"},"reason":"raid"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000019","type":"room.swept","presenterIdx":42,"at":"2026-11-22T12:36:00.000Z","rule":{"texts":["come to my room"]},"secondsBack":60,"by":{"idx":3,"nickname":"mod","role":"moderator"}}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-00000000001f","type":"room.swept","presenterIdx":42,"at":"2026-11-22T12:36:00.000Z","rule":{"texts":["come to my room"]},"span":{"secondsBack":60,"forward":"refuse","forwardUntil":"2026-11-22T12:38:00.000Z"},"by":{"idx":3,"nickname":"mod","role":"moderator"}}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-00000000001b","type":"room.swept","presenterIdx":42,"at":"2026-11-22T12:36:00.000Z","rule":{"texts":{"to":["come to my room"],"percent":85},"users":[7]},"secondsBack":60,"by":{"idx":3,"nickname":"mod","role":"moderator"}}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-00000000001a","type":"sweep.undone","presenterIdx":42,"at":"2026-11-22T12:37:00.000Z","target":"019ab5a0-8000-7000-8000-000000000018","by":{"idx":42,"nickname":"presenter","role":"presenter"},"reason":"a mistake"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000021","type":"user.warned","presenterIdx":42,"at":"2026-11-22T12:38:00.000Z","user":7,"by":{"idx":3,"nickname":"mod","role":"moderator"},"reason":"no links please"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000022","type":"warning.withdrawn","presenterIdx":42,"at":"2026-11-22T12:38:00.000Z","user":7,"by":{"idx":3,"nickname":"mod","role":"moderator"}}"#,
        r#"{"v":1,"id":"019ab5a0-8000-5000-8000-000000000023","type":"warning.sent","presenterIdx":42,"at":"2026-11-22T12:38:00.000Z","user":7,"target":"019ab5a0-8000-7000-8000-000000000021"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000024","type":"note.added","presenterIdx":42,"at":"2026-11-22T12:38:00.000Z","user":7,"text":"warned twice on another account","by":{"idx":3,"nickname":"mod","role":"moderator"}}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000025","type":"note.deleted","presenterIdx":42,"at":"2026-11-22T12:38:00.000Z","user":7,"target":"019ab5a0-8000-7000-8000-000000000024","by":{"idx":3,"nickname":"mod","role":"moderator"},"reason":"not the same user"}"#,
    ];

    #[test]
    fn every_line_survives_reading_and_writing_byte_for_byte() {
        for line in LINES {
            let event = Event::from_line(line.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(event.to_line().to_vec()).unwrap(), line);
        }
    }

    #[test]
    fn every_type_is_read_as_its_own() {
        let bodies: Vec<Body> = LINES.iter().map(|line| Event::from_line(line.as_bytes()).unwrap().body).collect();
        insta::assert_debug_snapshot!(bodies);
    }

    #[test]
    fn attributes_beyond_the_bounds_of_this_version_are_read_all_the_same() {
        let amount = r#""amount":5"#;
        let later = LINES[21].replace(amount, r#""amount":0.5,"deep":[[[null]]]"#);
        let event = Event::from_line(later.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(event.to_line().to_vec()).unwrap().len(), later.len());
        let spelled = LINES[21].replace(amount, r#""amount" : 5"#).replace(r#""badges""#, r#" "badges""#);
        assert_eq!(Event::from_line(spelled.as_bytes()), Event::from_line(LINES[21].as_bytes()));
    }

    #[test]
    fn members_of_a_later_version_are_ignored() {
        let with = LINES[0].replacen('{', r#"{"later":{"deep":[1,2]},"#, 1);
        assert_eq!(Event::from_line(with.as_bytes()), Event::from_line(LINES[0].as_bytes()));
    }

    #[test]
    fn a_time_is_kept_to_the_millisecond_and_in_utc() {
        let seoul = LINES[0].replace("2026-11-22T12:34:56.789Z", "2026-11-22T21:34:56.789+09:00");
        assert_eq!(Event::from_line(seoul.as_bytes()), Event::from_line(LINES[0].as_bytes()));
        let event = Event::now(PresenterIdx::try_from(1).unwrap(), Event::from_line(LINES[8].as_bytes()).unwrap().body);
        assert_eq!(Event::from_line(&event.to_line()), Ok(event));
    }

    #[test]
    fn a_malformed_event_is_refused_with_the_reason() {
        let cases = [
            "",
            "null",
            "[]",
            "{}",
            "\u{1f}",
            &LINES[0].replace(r#""v":1"#, r#""v":2"#),
            &LINES[0].replace(r#""presenterIdx":42"#, r#""presenterIdx":0"#),
            &LINES[0].replace(r#""presenterIdx":42"#, r#""presenterIdx":"42""#),
            &LINES[0].replace("019ab5a0-8000-7000-8000-000000000001", "1"),
            &LINES[0].replace("2026-11-22T12:34:56.789Z", "yesterday"),
            &LINES[0].replace(r#","text":"안녕하세요 👋""#, ""),
            &LINES[0].replace("viewer", "king"),
            &LINES[0].replace(r#""idx":7"#, r#""idx":-7"#),
            &LINES[0].replace(r#""presenterIdx":42,"#, ""),
            &LINES[11].replace("00d4a7e1b05f3c29", "d4a7e1b05f3c29"),
            &LINES[15].replace(r#""user":7"#, r#""presenterIdx":42,"user":7"#),
            &LINES[15].replace("anonymise", "forget"),
        ];
        let reasons: Vec<String> =
            cases.iter().map(|line| Event::from_line(line.as_bytes()).unwrap_err().to_string()).collect();
        insta::assert_debug_snapshot!(reasons);
        assert!(Event::from_line(b"\xff\xfe").is_err());
    }
}
