//! Slurs, and the label of each kind of word.

use words::{Filter, List};

use crate::{FILTER, all_innocent, check, found};

#[test]
fn slurs_are_found() {
    check(&[
        ("틀딱들은 왜 저래", "**들은 왜 저래"),
        ("짱깨 놈들", "** 놈들"),
        ("쪽바리 꺼져", "*** **"),
        ("급식충인가", "***인가"),
        ("맘충들", "**들"),
        ("한남충 많네", "*** 많네"),
        ("김치녀", "***"),
        ("빨갱이냐", "***냐"),
        ("전라디언", "****"),
        ("조센징", "***"),
        ("you faggots", "you ******s"),
        ("nigga please", "***** please"),
        ("what a retard", "what a ******"),
    ]);
}

#[test]
fn each_word_has_the_label_of_its_kind() {
    let label = |text: &str| FILTER.find(text).first().map(|found| found.label.to_string());
    for (text, expected) in [
        ("시발", "ko.abuse"),
        ("짱깨", "ko.slur"),
        ("창녀", "ko.sexual"),
        ("존나", "ko.vulgar"),
        ("ㅉㅉ", "ko.contempt"),
        ("fuck", "en.abuse"),
        ("faggot", "en.slur"),
        ("slut", "en.sexual"),
    ] {
        assert_eq!(label(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn mild_insults_are_found_only_on_demand() {
    let texts = ["idiot", "you idiots", "so stupid", "scum", "trash", "noob", "n00b", "dumb"];
    all_innocent(&texts);
    let mut list = List::built_in();
    assert!(!list.labels().contains("en.insult"));
    list.extend(List::parse("want: en.insult").unwrap());
    assert!(list.labels().contains("en.insult"));
    let filter = Filter::new(&list);
    for text in texts {
        let labels: Vec<_> = filter.find(text).into_iter().map(|found| found.label).collect();
        assert_eq!(labels, ["en.insult".into()], "{text}");
    }
    for text in ["trash can", "take out the trash", "scummvm", "stupidity test"] {
        assert_eq!(found(&filter, text), Vec::<&str>::new(), "{text}");
    }
}
