//! Read and write concerns, pinned. The archive's promise rests on both: the writing side reads to decide what it marks
//! as deleted and what it erases, and a stale read would miss that for good. A connection string cannot weaken them.

use std::time::Duration;

use mongodb::options::{
    Acknowledgment, ClientOptions, ReadConcern, ReadPreference, ReadPreferenceOptions, SelectionCriteria, WriteConcern,
};

/// Why these options are refused.
const PINNED: &str = "the archiver reads from the primary with readConcernLevel=majority, and writes with w=majority, journal=true \
                      and retryWrites=true. Remove the option";

/// Refuses options of a connection string that weaken the concerns. The error names the option, and never its value.
pub(crate) fn check(options: &ClientOptions) -> Result<(), String> {
    match weakened(options) {
        Some(key) => Err(format!("says {key}, which would weaken the durability of the archive: {PINNED}")),
        None => Ok(()),
    }
}

/// Pins the concerns. `patience`: how long the server lets a write wait for the majority.
pub(crate) fn pin(options: &mut ClientOptions, patience: Duration) {
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    options.read_concern = Some(ReadConcern::majority());
    options.retry_writes = Some(true);
    options.retry_reads = Some(true);
    options.write_concern =
        Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(patience).build());
}

/// The first option that differs from the pinned ones, by its name in a connection string.
fn weakened(options: &ClientOptions) -> Option<&'static str> {
    if let Some(SelectionCriteria::ReadPreference(preference)) = &options.selection_criteria {
        match preference {
            ReadPreference::Primary => {}
            ReadPreference::Secondary { options }
            | ReadPreference::PrimaryPreferred { options }
            | ReadPreference::SecondaryPreferred { options }
            | ReadPreference::Nearest { options } => return Some(of_preference(options.as_ref())),
            // A preference that a later driver adds.
            _ => return Some("readPreference"),
        }
    }
    if options.read_concern.as_ref().is_some_and(|concern| *concern != ReadConcern::majority()) {
        return Some("readConcernLevel");
    }
    if let Some(WriteConcern { w, w_timeout, journal, .. }) = &options.write_concern {
        if w.as_ref().is_some_and(|w| *w != Acknowledgment::Majority) {
            return Some("w");
        }
        if *journal == Some(false) {
            return Some("journal");
        }
        if w_timeout.is_some() {
            return Some("wtimeoutMS");
        }
    }
    (options.retry_writes == Some(false)).then_some("retryWrites")
}

fn of_preference(options: Option<&ReadPreferenceOptions>) -> &'static str {
    let has = |is: fn(&ReadPreferenceOptions) -> bool| options.is_some_and(is);
    if has(|options| options.tag_sets.is_some()) {
        "readPreference with readPreferenceTags"
    } else if has(|options| options.max_staleness.is_some()) {
        "readPreference with maxStalenessSeconds"
    } else {
        "readPreference"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn options(query: &str) -> ClientOptions {
        let uri = format!("mongodb://user:hunter2@one:27017,two:27017/?replicaSet=rs0&{query}");
        ClientOptions::parse(uri).await.unwrap()
    }

    #[tokio::test]
    async fn a_weaker_concern_is_refused_by_name_without_showing_the_rest_of_the_uri() {
        for (query, key) in [
            ("readPreference=secondaryPreferred", "readPreference,"),
            ("readPreference=secondary", "readPreference,"),
            ("readPreference=primaryPreferred", "readPreference,"),
            ("READPREFERENCE=nearest", "readPreference,"),
            ("readPreference=secondary&readPreferenceTags=dc:hunter2", "readPreferenceTags,"),
            ("readPreference=nearest&maxStalenessSeconds=120", "maxStalenessSeconds,"),
            ("readConcernLevel=local", "readConcernLevel,"),
            ("readConcernLevel=available", "readConcernLevel,"),
            ("w=1", "w,"),
            ("w=0", "w,"),
            ("w=hunter2", "w,"),
            ("journal=false", "journal,"),
            ("wtimeoutMS=1", "wtimeoutMS,"),
            ("retryWrites=false", "retryWrites,"),
        ] {
            let refused = check(&options(query).await).expect_err(query);
            assert!(refused.starts_with("says ") && refused.contains(key), "{query}: {refused}");
            assert!(!refused.contains("hunter2"), "{query}: {refused}");
        }
    }

    #[tokio::test]
    async fn a_uri_with_the_same_concerns_or_none_is_accepted() {
        for query in [
            "appName=x",
            "retryWrites=true&w=majority",
            "readPreference=primary",
            "readConcernLevel=majority&journal=true",
            "directConnection=false&appName=x&maxPoolSize=5",
        ] {
            assert_eq!(check(&options(query).await), Ok(()), "{query}");
        }
    }

    #[tokio::test]
    async fn reads_are_pinned_to_the_primary_and_the_majority_whatever_was_said() {
        let mut options = options("readPreference=secondary&readConcernLevel=local&w=1&journal=false").await;
        pin(&mut options, Duration::from_secs(15));
        assert_eq!(options.selection_criteria, Some(SelectionCriteria::ReadPreference(ReadPreference::Primary)));
        assert_eq!(options.read_concern, Some(ReadConcern::majority()));
        let written = options.write_concern.unwrap();
        assert_eq!((written.w, written.journal), (Some(Acknowledgment::Majority), Some(true)));
        assert_eq!(options.retry_writes, Some(true));
    }
}
