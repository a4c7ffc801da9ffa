//! Grams as searches use them: no match is left out, and what was not written this way is noticed.

use proptest::prelude::*;

use super::*;

fn at(sequence: i64) -> PositionDocument {
    PositionDocument { epoch: 1, sequence, index: 0 }
}

fn part(texts: &[&str]) -> EncodedPart {
    let mut part = PartBuilder::default();
    texts.iter().zip(1..).for_each(|(text, sequence)| part.add(at(sequence), Some(text)));
    part.encode()
}

/// The messages that may contain the text.
fn candidates(part: &EncodedPart, text: &str) -> Vec<u32> {
    let mut found = Numbers::all(part.messages);
    let buckets = u32::try_from(part.buckets.len()).unwrap();
    for wanted in Wanted::of(text) {
        let bucket = &part.buckets[wanted.bucket(buckets) as usize];
        found.retain(&wanted.look_up(bucket, part.messages).unwrap());
    }
    found.iter().collect()
}

#[test]
fn a_text_has_the_grams_of_each_of_its_parts_and_most_other_texts_do_not() {
    let texts = ["안녕하세요 여러분", "정말 안녕", "hello world", "", "ㅋㅋㅋ", "a.b", "녕하", "녕", "wor ldh"];
    let part = part(&texts);
    for (text, expected) in [
        ("안녕하세", vec![0]),
        ("안녕", vec![0, 1]),
        ("녕", vec![0, 1, 6, 7]),
        ("녕하", vec![0, 6]),
        ("world", vec![2]),
        ("ld", vec![2, 8]),
        (" ", vec![0, 1, 2, 8]),
        ("d", vec![2, 8]),
        ("ㅋㅋㅋㅋ", vec![4]),
        ("z", vec![]),
        ("none of it", vec![]),
    ] {
        assert_eq!(candidates(&part, text), expected, "{text}");
    }
}

#[test]
fn common_grams_are_bits_and_rare_ones_are_numbers() {
    let texts: Vec<String> = (0..5_000).map(|number| format!("ㅋㅋ {number}")).collect();
    let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    texts[4_321] = "바늘";
    let part = part(&texts);
    assert_eq!((part.buckets.len(), part.positions.len(), part.texts), (128, 5, 5_000));
    assert_eq!(candidates(&part, "바늘"), [4_321]);
    assert_eq!(candidates(&part, "ㅋㅋ").len(), 4_999);
    assert!(part.buckets.iter().map(Vec::len).sum::<usize>() < 200_000);
}

#[test]
fn of_a_long_text_no_more_grams_are_looked_up_than_are_useful() {
    let long: String = ('가'..='힣').take(100).collect();
    assert_eq!(Wanted::of(&long).len(), 14);
    assert_eq!(Wanted::of(&"가".repeat(100)).len(), 1);
    assert!(Wanted::of("").is_empty());
}

#[test]
fn a_message_without_a_text_has_its_number_and_no_gram() {
    let mut part = PartBuilder::default();
    [Some("one"), None, Some("one")].into_iter().zip(1..).for_each(|(text, place)| part.add(at(place), text));
    let part = part.encode();
    assert_eq!((part.messages, part.texts, candidates(&part, "one")), (3, 2, vec![0, 2]));
}

#[test]
fn what_was_not_written_this_way_is_no_bucket() {
    let wanted = Wanted::of("abc")[0];
    for bucket in [&[0x80][..], &[1, 0x80], &[1, 9, 0], &[0xff; 30]] {
        assert_eq!(wanted.look_up(bucket, 9), None, "{bucket:?}");
    }
    assert_eq!(decode_positions(&[2]), None);
}

proptest! {
    #[test]
    fn no_text_with_the_search_text_is_left_out(
        texts in prop::collection::vec("[ab가ㅋ 😀é]{0,12}", 1..300),
        search in "[ab가ㅋ 😀é]{1,5}",
    ) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let part = part(&texts);
        let found = candidates(&part, &search);
        for (text, number) in texts.iter().zip(0..) {
            prop_assert!(!text.contains(&search) || found.contains(&number), "{text:?}");
        }
    }

    #[test]
    fn positions_survive_their_encoding(
        places in prop::collection::vec((any::<i64>(), any::<i64>(), -3..3_i64), 0..50),
    ) {
        let position = |(epoch, sequence, index)| PositionDocument { epoch, sequence, index };
        let positions: Vec<_> = places.into_iter().map(position).collect();
        prop_assert_eq!(decode_positions(&encode_positions(&positions)), Some(positions));
    }
}
