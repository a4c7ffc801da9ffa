//! The identifiers of the domain. They are parsed once, where they enter: inside there are no unchecked ids.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// 2^53 - 1, as RFC 8259 recommends: browsers hold numbers as floating-point, and confuse larger ids.
pub const LARGEST_IDX: i64 = (1 << 53) - 1;

/// Why a number is not an id: ids are 1 to [`LARGEST_IDX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is an integer from 1 to {LARGEST_IDX}")]
pub struct InvalidIdx;

/// Why a stored number is not an id. Ids that were accepted before the bound existed are still read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is a positive integer")]
pub struct InvalidStoredIdx;

macro_rules! idx {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// The bound holds where ids are parsed. An id deserialized from an event may be larger, up to 2^63 - 1:
        /// earlier versions accepted such ids, and what was accepted is delivered and archived.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(into = "i64")]
        pub struct $name(i64);

        impl $name {
            /// The id as a number, 1 or more.
            pub fn get(self) -> i64 {
                self.0
            }

            /// An id that was stored, perhaps before the bound existed.
            ///
            /// # Errors
            /// The number is not positive.
            pub fn stored(idx: i64) -> Result<Self, InvalidStoredIdx> {
                if idx >= 1 { Ok(Self(idx)) } else { Err(InvalidStoredIdx) }
            }
        }

        impl TryFrom<i64> for $name {
            type Error = InvalidIdx;

            fn try_from(idx: i64) -> Result<Self, InvalidIdx> {
                if (1..=LARGEST_IDX).contains(&idx) { Ok(Self(idx)) } else { Err(InvalidIdx) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::stored(i64::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }

        impl From<$name> for i64 {
            fn from(idx: $name) -> i64 {
                idx.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidIdx;

            /// Decimal digits only: no sign, no space, no leading zero.
            fn from_str(text: &str) -> Result<Self, InvalidIdx> {
                let canonical = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
                let idx: i64 = text.parse().map_err(|_| InvalidIdx)?;
                if canonical { Self::try_from(idx) } else { Err(InvalidIdx) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

idx! {
    /// The id of a presenter, and of the presenter's room.
    PresenterIdx
}

idx! {
    /// The id of a user.
    UserIdx
}

impl PresenterIdx {
    /// The same person, as a user.
    pub fn as_user(self) -> UserIdx {
        UserIdx(self.0)
    }
}

impl UserIdx {
    /// The room in which this user is the presenter.
    pub fn as_presenter(self) -> PresenterIdx {
        PresenterIdx(self.0)
    }
}

/// The identity of an event. It is random and ordered by time (UUID v7), or derived from a client's idempotency key
/// (UUID v5), so that a retry through any node is the same event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub(crate) Uuid);

/// The UUID namespace of derived ids. It is part of the format: another value would make retries new events.
const KEYED_EVENTS: Uuid = Uuid::from_u128(0x6f0a_3c5e_5d0b_4d57_9a62_0c5f_0e6c_41b7);

impl EventId {
    /// No id is less.
    pub const LEAST: EventId = EventId(Uuid::nil());

    /// No id is greater.
    pub const GREATEST: EventId = EventId(Uuid::max());

    /// A new id.
    pub fn new() -> EventId {
        EventId(Uuid::now_v7())
    }

    /// The id that older versions derive from the room (or all rooms), the user and the idempotency key.
    pub fn derived(presenter: Option<PresenterIdx>, user: UserIdx, key: &str) -> EventId {
        EventId(KeyId::of(presenter, user, key).0)
    }

    /// The id of an event that is accepted under a key in the turn that begins with that second of the log's clock. The
    /// same key in a later turn names another event.
    pub fn of_turn(KeyId(key): KeyId, turn: i64) -> EventId {
        EventId(Uuid::new_v5(&key, turn.to_string().as_bytes()))
    }

    /// The id of the event that holds this message: the message's own id stays free for its release or denial.
    pub fn of_hold(message: EventId) -> EventId {
        EventId(Uuid::new_v5(&message.0, b"held"))
    }

    /// The id of the event that records that a warning was sent: the same on each node that sends it.
    pub fn of_sent(warning: EventId) -> EventId {
        EventId(Uuid::new_v5(&warning.0, b"sent"))
    }

    /// The id under which readers get what a sweep, or its end, does to this message.
    pub fn of_swept(EventId(decision): EventId, EventId(message): EventId) -> EventId {
        EventId(Uuid::new_v5(&decision, message.as_bytes()))
    }

    /// Whether the id was derived from an idempotency key.
    pub fn is_derived(self) -> bool {
        self.0.get_version_num() == 5
    }

    /// The id as a number, for large sets.
    pub fn as_u128(self) -> u128 {
        self.0.as_u128()
    }
}

/// The identity of an idempotency key: derived from the room (or all rooms), the user and the key itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub(crate) Uuid);

impl KeyId {
    /// The identity of a user's key for the room, or for all rooms.
    pub fn of(presenter: Option<PresenterIdx>, user: UserIdx, key: &str) -> KeyId {
        let name = match presenter {
            Some(presenter) => format!("{presenter}/{user}/{key}"),
            None => format!("all/{user}/{key}"),
        };
        KeyId(Uuid::new_v5(&KEYED_EVENTS, name.as_bytes()))
    }

    /// The key of an event of an older version, whose id follows from the key alone.
    pub fn of_event(EventId(id): EventId) -> KeyId {
        KeyId(id)
    }
}

/// A digest of a request under an idempotency key, in 60 bits: enough to detect that a key was used for another
/// request. Without the key it reveals nothing about the request, not even by trying short ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestDigest(u64);

/// A string that is not 16 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a request digest is 16 lower-case hexadecimal digits")]
pub struct InvalidDigest;

impl RequestDigest {
    /// The digest of a request under that key.
    pub fn of(key: &str, request: &str) -> RequestDigest {
        let keyed = Uuid::new_v5(&KEYED_EVENTS, key.as_bytes());
        RequestDigest(Uuid::new_v5(&keyed, request.as_bytes()).as_u64_pair().0)
    }
}

impl From<RequestDigest> for String {
    fn from(RequestDigest(digest): RequestDigest) -> String {
        format!("{digest:016x}")
    }
}

impl TryFrom<String> for RequestDigest {
    type Error = InvalidDigest;

    fn try_from(text: String) -> Result<RequestDigest, InvalidDigest> {
        let is_canonical = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let digest = u64::from_str_radix(&text, 16).map_err(|_| InvalidDigest)?;
        if is_canonical { Ok(RequestDigest(digest)) } else { Err(InvalidDigest) }
    }
}

impl Default for EventId {
    fn default() -> EventId {
        EventId::new()
    }
}

impl FromStr for EventId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::parse_str(text).map(EventId)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The identity of one presenter connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(Uuid);

impl SessionId {
    /// A new id.
    pub fn new() -> SessionId {
        SessionId(Uuid::now_v7())
    }
}

impl Default for SessionId {
    fn default() -> SessionId {
        SessionId::new()
    }
}

impl FromStr for SessionId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::parse_str(text).map(SessionId)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The identity of one run of a delivery node. A restarted node has a new id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(String);

impl NodeId {
    /// A new id. It is valid as a key of a bucket, and as a token of a subject.
    pub fn new() -> NodeId {
        NodeId(Uuid::now_v7().simple().to_string())
    }

    /// The id, as the key of the node's lease.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for NodeId {
    fn default() -> NodeId {
        NodeId::new()
    }
}

impl From<String> for NodeId {
    fn from(id: String) -> NodeId {
        NodeId(id)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idx_is_a_positive_integer_that_a_page_can_hold_in_canonical_decimal() {
        for good in ["1", "42", "9007199254740991"] {
            assert_eq!(good.parse::<PresenterIdx>().unwrap().to_string(), good);
        }
        let too_large = ["9007199254740992", "9007199254740993", "9223372036854775807", "9223372036854775808"];
        for bad in ["", "0", "-1", "+1", "01", " 1", "1 ", "1.0", "٣", "1e3"].into_iter().chain(too_large) {
            assert_eq!(bad.parse::<PresenterIdx>(), Err(InvalidIdx), "{bad:?}");
        }
        assert_eq!(UserIdx::try_from(LARGEST_IDX + 1), Err(InvalidIdx));
        assert_eq!(InvalidIdx.to_string(), "an id is an integer from 1 to 9007199254740991");
    }

    #[test]
    fn an_idx_that_was_stored_before_there_was_a_bound_is_still_read() {
        let read = |json: &str| serde_json::from_str::<UserIdx>(json).map(UserIdx::get).ok();
        assert_eq!(read("9223372036854775807"), Some(i64::MAX));
        assert_eq!(serde_json::to_string(&UserIdx::stored(i64::MAX).unwrap()).unwrap(), "9223372036854775807");
        for bad in ["0", "-1", "9223372036854775808", "\"1\"", "1.0"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_digest_tells_requests_and_keys_apart_and_survives_its_text() {
        let digest = RequestDigest::of("key", "hello");
        assert_eq!(RequestDigest::try_from(String::from(digest)), Ok(digest));
        assert_ne!(digest, RequestDigest::of("key", "hello!"));
        assert_ne!(digest, RequestDigest::of("other", "hello"));
        // Pinned: a new value would refuse every retry across an upgrade.
        assert_eq!(String::from(digest), "6305ffdc42785b3e");
        for bad in ["", "0", "00d4a7e1b05f3c2", "00D4A7E1B05F3C29", "+0d4a7e1b05f3c29", "00d4a7e1b05f3c2g"] {
            assert_eq!(RequestDigest::try_from(bad.to_owned()), Err(InvalidDigest), "{bad}");
        }
    }

    #[test]
    fn a_derived_id_depends_on_room_user_and_key_alone() {
        let (one, two): (PresenterIdx, PresenterIdx) = ("1".parse().unwrap(), "2".parse().unwrap());
        let id = EventId::derived(Some(one), two.as_user(), "key");
        assert_eq!(id, EventId::derived(Some(one), two.as_user(), "key"));
        assert_ne!(id, EventId::derived(Some(one), two.as_user(), "other"));
        assert_ne!(id, EventId::derived(Some(two), two.as_user(), "key"));
        assert_ne!(id, EventId::derived(Some(one), one.as_user(), "key"));
        assert_ne!(id, EventId::derived(None, two.as_user(), "key"));
        // Pinned: a new value would make every retry across an upgrade a new event.
        assert_eq!(id.to_string(), "e09f4ed1-8ded-56a3-aa2b-78ea6b203a3a");
        assert!(id.is_derived());
        let key = KeyId::of(Some(one), two.as_user(), "key");
        assert_eq!(KeyId::of_event(id), key);
        let in_turn = EventId::of_turn(key, 29_536_324);
        assert_eq!(in_turn.to_string(), "40df4675-091f-5c44-b6fc-ff547066fca4");
        assert_ne!(in_turn, EventId::of_turn(key, 29_536_325));
        assert!(in_turn.is_derived());
        assert!(!EventId::new().is_derived());
    }
}
