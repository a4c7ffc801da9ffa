//! The id of the request that a task works for. Each line of the log that the request causes has it, so that an
//! operator finds what a caller reports.

use std::fmt;

use bytes::Bytes;
use tokio::task::futures::TaskLocalFuture;
use tokio::task_local;

use crate::trace_context::{TraceContext, for_same_span};

task_local! {
    // Only a task-local reaches a line of the log, which is written far below what knows the request. It is empty
    // outside of requests, and nothing branches on it.
    static CURRENT: Option<RequestId>;
}

/// The id of a request: visible ASCII.
#[derive(Debug, Clone)]
pub struct RequestId(Id);

#[derive(Debug, Clone)]
enum Id {
    Given(Bytes),
    Made { origin: u32, number: u64 },
}

impl RequestId {
    /// 128 bytes: a `traceparent` or two UUIDs fit, and it makes neither an answer nor a line of the log large.
    pub const LONGEST_BYTES: usize = 128;

    /// The id that a caller gave. None: it is empty, too long or not visible ASCII.
    pub fn given(id: &[u8]) -> Option<RequestId> {
        let is_sane = (1..=RequestId::LONGEST_BYTES).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic);
        is_sane.then(|| RequestId(Id::Given(Bytes::copy_from_slice(id))))
    }

    /// An id of our own: request `number` of `origin`. It is written when it is needed.
    pub fn made(origin: u32, number: u64) -> RequestId {
        RequestId(Id::Made { origin, number })
    }

    /// The id of the request that this task works for, if any.
    pub fn current() -> Option<RequestId> {
        CURRENT.try_get().ok().flatten()
    }

    /// Runs a future for the request with this id.
    pub fn scope<F: Future>(self, work: F) -> TaskLocalFuture<Option<RequestId>, F> {
        CURRENT.scope(Some(self), work)
    }

    /// Calls a function for the request with this id.
    pub fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(Some(self.clone()), work)
    }

    /// As text. Without the formatter, as every answer has one.
    pub fn to_bytes(&self) -> Bytes {
        match self {
            RequestId(Id::Given(id)) => id.clone(),
            RequestId(Id::Made { origin, number }) => {
                let digits = 16 - (number | 1).leading_zeros() as usize / 4;
                let mut text = [b'-'; 9 + 16];
                write_hex(&mut text[..8], (*origin).into());
                write_hex(&mut text[9..9 + digits], *number);
                Bytes::copy_from_slice(&text[..9 + digits])
            }
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

/// Runs a future, in a task of its own, for the request that this task works for, and in its span, if any.
pub fn for_same_request<F: Future>(work: F) -> ForSameRequest<F> {
    CURRENT.scope(RequestId::current(), for_same_span(work))
}

/// The future of [`for_same_request`].
pub type ForSameRequest<F> = TaskLocalFuture<Option<RequestId>, TaskLocalFuture<Option<TraceContext>, F>>;

fn write_hex(text: &mut [u8], mut number: u64) {
    for digit in text.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_id_is_bounded_and_visible() {
        let longest = "x".repeat(RequestId::LONGEST_BYTES);
        for id in ["1", "req-1.a/b:c=d\"", longest.as_str()] {
            assert_eq!(RequestId::given(id.as_bytes()).unwrap().to_string(), id);
        }
        let too_long = "x".repeat(RequestId::LONGEST_BYTES + 1);
        for id in ["", "a b", "a\n", "별", too_long.as_str()] {
            assert!(RequestId::given(id.as_bytes()).is_none(), "{id:?}");
        }
    }

    #[test]
    fn an_id_of_our_own_is_its_origin_and_number() {
        for number in [0, 1, 0xf, 0x10, 0xabcd, u64::MAX] {
            let id = RequestId::made(0xabc, number);
            assert_eq!(id.to_string(), format!("00000abc-{number:x}"));
        }
    }

    fn current() -> Option<String> {
        RequestId::current().map(|id| id.to_string())
    }

    #[tokio::test]
    async fn a_task_works_for_the_request_of_its_scope() {
        assert_eq!(current(), None);
        let id = RequestId::given(b"one").unwrap();
        let seen = id.clone().scope(async {
            let inner = RequestId::given(b"two").unwrap().scope(async { current() }).await;
            #[allow(clippy::disallowed_methods, reason = "awaited here")]
            let tasks = [tokio::spawn(for_same_request(async { current() })), tokio::spawn(async { current() })];
            let [same, none] = tasks;
            [current(), inner, same.await.unwrap(), none.await.unwrap()]
        });
        let [one, two] = ["one", "two"].map(|id| Some(id.to_owned()));
        assert_eq!(seen.await, [one.clone(), two, one.clone(), None]);
        assert_eq!((id.in_scope(current), current()), (one, None));
    }
}
