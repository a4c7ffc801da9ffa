//! Archiver: writes the log into MongoDB.
