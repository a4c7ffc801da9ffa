//! stub
/// Why an append has no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// It may be stored or not: no acknowledgement came in time. Appending the same event again is safe.
    #[error("the append was not acknowledged in time; it may be stored or not")]
    Unknown,
    /// Not stored: the log has reached its size limit, or too many appends wait.
    #[error("the log is full")]
    Full,
    /// Not stored: NATS cannot be reached or has no leader for the partition.
    #[error("the log cannot be reached")]
    Unavailable,
    /// Not stored, and it never will be: the event is larger than a batch may be.
    #[error("the event is too large for the log")]
    TooLarge,
}
