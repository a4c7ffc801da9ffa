//! The word filter on labelled texts and on ordinary chat, on the halves that the authors of the list do not read. The
//! figures of `docs/reference/word-filter.md` are measured the same way. These floors are a little below them.

#[path = "../words/examples/measure/sets.rs"]
mod sets;

mod shared_data {
    use std::path::PathBuf;

    use ::words::{Filter, List};

    use super::sets::{self, Half, Labelled, Score};

    fn folder() -> PathBuf {
        let folder = std::env::var_os("CHATTING_SHARED_DATA");
        PathBuf::from(folder.expect("CHATTING_SHARED_DATA must name the folder with the data sets"))
    }

    fn score(set: &[Labelled]) -> Score {
        let filter = Filter::new(&List::built_in());
        Score::of(set, Half::Test, |text| !filter.find(text).is_empty())
    }

    #[test]
    fn korean_comments_are_judged_as_people_judged_them() {
        let score = score(&sets::korean(&folder()));
        assert!(score.precision() > 0.92, "precision {}", score.precision());
        assert!(score.recall() > 0.68, "recall {}", score.recall());
    }

    #[test]
    fn english_tweets_are_judged_as_people_judged_them() {
        let score = score(&sets::english(&folder()));
        assert!(score.precision() > 0.98, "precision {}", score.precision());
        assert!(score.recall() > 0.95, "recall {}", score.recall());
    }

    /// Flagged texts include rightly flagged ones: people swear.
    #[test]
    fn ordinary_chat_is_left_alone() {
        let filter = Filter::new(&List::built_in());
        for (name, most) in [("chat_twitch_ko", 0.010), ("chat_youtube_mit", 0.006), ("chat_youtube_multiroom", 0.0005)]
        {
            let messages = sets::chat(&folder(), name);
            let test: Vec<_> = messages.iter().filter(|(_, half)| *half == Half::Test).collect();
            let flagged = test.iter().filter(|(text, _)| !filter.find(text).is_empty()).count();
            let share = flagged as f64 / test.len() as f64;
            assert!(share < most, "{name}: {flagged} of {} flagged", test.len());
        }
    }
}
