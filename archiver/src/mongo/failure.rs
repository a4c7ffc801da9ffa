//! Why MongoDB has no answer, and what its errors mean: it may work later, it never will, or it exists already.

use mongodb::error::{CommandError, ErrorKind, WriteFailure};

/// Why a request has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Failure {
    /// It may succeed later, unchanged.
    #[error("{0}")]
    Unavailable(String),
    /// It never will succeed: MongoDB refuses the document.
    #[error("{0}")]
    Refused(String),
    /// The document, collection or index to be created exists.
    #[error("it exists already")]
    Exists,
}

/// Whether MongoDB gave a request up at its time limit: `MaxTimeMSExpired`.
pub(super) fn has_expired(error: &mongodb::error::Error) -> bool {
    matches!(error.kind.as_ref(), ErrorKind::Command(CommandError { code: 50, .. }))
}

pub(super) fn classify(error: &mongodb::error::Error) -> Failure {
    match error.kind.as_ref() {
        // A collection, or an index with the same keys or name.
        ErrorKind::Command(CommandError { code: 48 | 85 | 86, .. }) => Failure::Exists,
        ErrorKind::Command(CommandError { code, .. }) if is_about_the_document(*code) => {
            Failure::Refused(describe(error))
        }
        ErrorKind::Write(WriteFailure::WriteError(error)) => classify_write(error.code, &error.message),
        ErrorKind::Bson(_) | ErrorKind::BsonSerialization(_) | ErrorKind::InvalidArgument { .. } => {
            Failure::Refused(describe(error))
        }
        _ => Failure::Unavailable(describe(error)),
    }
}

/// An error that MongoDB gives for one document.
pub(super) fn classify_write(code: i32, message: &str) -> Failure {
    match code {
        // A unique index that an operator added does not mean that the document exists.
        11_000 if message.contains(" index: _id_ ") => Failure::Exists,
        11_000 => Failure::Refused("a unique index of the collection refuses it (11000)".to_owned()),
        121 => Failure::Refused("a validator of the collection refuses it (121)".to_owned()),
        _ if is_passing(code) => Failure::Unavailable(format!("MongoDB error {code}")),
        _ => Failure::Refused(format!("MongoDB error {code}")),
    }
}

/// Whether a command failed because of what is in a document: BadValue, FailedToParse, TypeMismatch, InvalidBSON,
/// DollarPrefixedFieldName, EmptyFieldName, DottedFieldName, DocumentValidationFailure, BSONObjectTooLarge and their
/// older numbers. Everything else (no permission, an unknown command, no primary) would fail with any document.
fn is_about_the_document(code: i32) -> bool {
    matches!(code, 2 | 9 | 14 | 22 | 52 | 56 | 57 | 121 | 10_334 | 17_280 | 17_419 | 17_420)
}

/// Whether an error passes by itself or can be fixed by an operator: unreachable hosts, permissions, timeouts, write
/// concern, conflicts, memory, elections, shutdowns, a full disk.
fn is_passing(code: i32) -> bool {
    const PASSING: [i32; 27] = [
        6, 7, 13, 18, 24, 43, 50, 64, 79, 89, 91, 100, 112, 134, 146, 189, 202, 262, 9_001, 10_058, 10_107, 11_600,
        11_601, 11_602, 13_435, 13_436, 14_031,
    ];
    PASSING.contains(&code)
}

/// Describes an error without values of documents, which some of the driver's messages repeat.
fn describe(error: &mongodb::error::Error) -> String {
    match error.kind.as_ref() {
        ErrorKind::Command(error) => format!("{} ({})", error.code_name, error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => format!("MongoDB error {}", error.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => {
            format!("the majority did not confirm the write: {} ({})", error.code_name, error.code)
        }
        ErrorKind::InsertMany(_) => "the majority did not confirm the insert".to_owned(),
        ErrorKind::Bson(_) | ErrorKind::BsonSerialization(_) => "a value does not fit into BSON".to_owned(),
        // The driver's message repeats the addresses.
        ErrorKind::ServerSelection { message, .. } => match tls::Fault::in_message(message) {
            Some(fault) => format!("no primary can be reached: {fault}"),
            None => "no primary can be reached".to_owned(),
        },
        kind => kind.to_string(),
    }
}
