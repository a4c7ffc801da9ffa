//! Ingest: checks a sender and appends the message to the log.
