//! What holds for any text and any list: nothing panics, matches are whole graphemes in order, masking changes nothing
//! else, the shortcuts change no match, and the work is proportional to the length.

use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use super::*;

fn built_in() -> Filter {
    Filter::new(&List::built_in())
}

fn list(text: &str) -> Filter {
    Filter::new(&List::parse(text).unwrap())
}

fn found<'t>(filter: &Filter, text: &'t str) -> Vec<&'t str> {
    filter.find(text).into_iter().map(|found| &text[found.range]).collect()
}

/// Any text, or one of pieces that the filter treats in a special way.
fn text() -> impl Strategy<Value = String> {
    const PIECES: [&str; 40] = [
        "시", "발", "씨", "병", "신", "새", "끼", "이", "아", "야", "좆", "ㅅ", "ㅂ", "ㅣ", "ㅏ", "ㄹ", "ㅋ", "ㅡ",
        "ㅄ", "점", "\u{1109}", "\u{1175}", "\u{11AF}", "f", "u", "c", "k", "ass", "shit", "1", "$", "!", "*", " ",
        ".", "\u{200B}", "\u{301}", "❤", "с", "ﬃ",
    ];
    let pieces = proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..60);
    prop_oneof![any::<String>(), "\\PC*", pieces.prop_map(|pieces| pieces.concat())]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn matches_are_whole_graphemes_in_order(text in text()) {
        let boundaries: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).chain([text.len()]).collect();
        let mut end = 0;
        for found in BUILT_IN.with(|filter| filter.find(&text)) {
            prop_assert!(found.range.start >= end && found.range.start < found.range.end);
            prop_assert!(boundaries.contains(&found.range.start) && boundaries.contains(&found.range.end));
            end = found.range.end;
        }
    }

    #[test]
    fn masking_changes_the_matches_and_nothing_else(text in text()) {
        let matches = BUILT_IN.with(|filter| filter.find(&text));
        let masked = mask(&text, &matches);
        let (mut rest, mut end) = (masked.as_str(), 0);
        for found in &matches {
            let kept = &text[end..found.range.start];
            prop_assert!(rest.starts_with(kept));
            let stars = text[found.range.clone()].graphemes(true).count();
            prop_assert_eq!(&rest[kept.len()..kept.len() + stars], "*".repeat(stars));
            rest = &rest[kept.len() + stars..];
            end = found.range.end;
        }
        prop_assert_eq!(rest, &text[end..]);
    }

    #[test]
    fn the_shortcuts_change_no_match_in_any_text(text in text()) {
        let (found, slowly) = BUILT_IN.with(|filter| (filter.find(&text), slow::find(filter, &text)));
        prop_assert_eq!(found, slowly);
    }

    #[test]
    fn the_shortcuts_change_no_match_of_a_disguised_word(text in disguised()) {
        let (found, slowly) = BUILT_IN.with(|filter| (filter.find(&text), slow::find(filter, &text)));
        prop_assert_eq!(found, slowly);
    }

    #[test]
    fn the_shortcuts_change_no_match_of_pieces_of_words(text in pieces_of_words()) {
        let (found, slowly) = BUILT_IN.with(|filter| (filter.find(&text), slow::find(filter, &text)));
        prop_assert_eq!(found, slowly);
    }

    #[test]
    fn the_prefilter_lets_every_word_pass(text in prop_oneof![text(), disguised(), pieces_of_words()]) {
        let (has_word, may_match) =
            BUILT_IN.with(|filter| (slow::has_word(filter, &text), filter.may_match(&text)));
        prop_assert!(may_match || !has_word);
    }

    #[test]
    fn the_shortcuts_change_no_match_of_a_rooms_words(words in proptest::collection::vec(text(), 1..4), text in text()) {
        let filter = Filter::with_words(&words);
        let text = format!("{text}{}{}", words[0], words[words.len() - 1]);
        prop_assert_eq!(filter.find(&text), slow::find(&filter, &text));
    }

    #[test]
    fn any_words_of_a_room_make_a_filter(words in proptest::collection::vec(text(), 0..6), text in text()) {
        let _ = Filter::with_words(&words).find(&text);
    }

    #[test]
    fn any_list_is_read_or_refused(list in "(label: a\n)?[a*?_(){}\\[\\],시발 \n:#]{0,60}", text in text()) {
        if let Ok(list) = List::parse(&list) {
            let _ = Filter::new(&list).find(&text);
        }
    }
}

/// What may stand between words, or inside them.
const BETWEEN: [&str; 30] = [
    "", " ", ".", "-", "1", "123", "x", "ㅋㅋ", "!", "*", "**", "+", "'", "❤️", "\u{200B}", "\u{301}", "이", "I", "는",
    "日", "ж", "\r\n", "\u{600}", "je ", "ㅠㅠ", "ㅡ", "ㅄ", "𝐚", "ﾵ", "\u{11AB}",
];

/// The words and contexts of the built-in lists.
fn words() -> Vec<String> {
    let list = List::built_in();
    let patterns = list.words.iter().map(|(pattern, _)| pattern).chain(&list.allowed).chain(&list.excepted);
    patterns.map(|pattern| pattern.word.clone()).collect()
}

/// Beginnings and ends of words, with or without something between them. Most are no word, and look much like one.
fn pieces_of_words() -> impl Strategy<Value = String> {
    let piece = (proptest::sample::select(words()), any::<proptest::sample::Index>(), any::<bool>());
    let piece = piece.prop_map(|(word, at, is_end)| {
        let at = at.index(word.chars().count() + 1);
        if is_end { word.chars().skip(at).collect::<String>() } else { word.chars().take(at).collect() }
    });
    proptest::collection::vec((piece, proptest::sample::select(&BETWEEN[..])), 1..8)
        .prop_map(|pieces| pieces.into_iter().map(|(piece, between)| piece + between).collect())
}

/// Words and contexts of the built-in lists, each in a disguise, with something between them.
fn disguised() -> impl Strategy<Value = String> {
    let between = || proptest::sample::select(&BETWEEN[..]);
    let word = (proptest::sample::select(words()), 0..DISGUISES, between(), any::<u64>());
    let word = word.prop_map(|(word, disguise, separator, places)| disguise_word(&word, disguise, separator, places));
    proptest::collection::vec((word, between()), 1..5)
        .prop_map(|words| words.into_iter().map(|(word, between)| word + between).collect())
}

const DISGUISES: u8 = 7;

/// `places`: a bit for each letter, set where the disguise applies.
fn disguise_word(word: &str, disguise: u8, separator: &str, places: u64) -> String {
    use unicode_normalization::UnicodeNormalization;
    let mut disguised = String::new();
    for (at, c) in word.chars().enumerate() {
        match disguise {
            _ if places >> (at % 64) & 1 == 0 => disguised.push(c),
            0 => disguised.extend([c.to_string().as_str(), separator]),
            1 => disguised.extend(std::iter::repeat_n(c, 2 + at % 2)),
            2 => disguised.push(leetspeak(c, at)),
            3 => disguised.push(['*', '#', '@', '%'][at % 4]),
            4 => disguised.extend(c.nfd()),
            5 => disguised.push(if c.is_ascii_graphic() { full_width(c) } else { c }),
            _ => disguised.extend(c.to_uppercase()),
        }
    }
    disguised
}

fn leetspeak(c: char, at: usize) -> char {
    match c {
        'i' | 'l' => ['1', '!', '|', 'I'][at % 4],
        'o' => '0',
        'e' => '3',
        'a' => ['4', '@'][at % 2],
        's' => ['5', '$'][at % 2],
        't' => ['7', '+'][at % 2],
        _ => c,
    }
}

fn full_width(c: char) -> char {
    char::from_u32(c as u32 + 0xFEE0).expect("ASCII has full-width forms")
}

thread_local! {
    static BUILT_IN: Filter = built_in();
}

/// The candidates for each sign of the text. To judge one takes at most as many steps as the longest word has letters.
fn candidates_per_sign(filter: &Filter, text: &str) -> usize {
    let reading = Reading::new(text);
    let mut streams = Streams::default();
    streams.read(&reading);
    streams.read_mixed(&reading);
    let candidates = streams.iter().map(|(alphabet, stream)| {
        let automata = [&filter.words[alphabet as usize], &filter.contexts[alphabet as usize]];
        automata.iter().map(|automaton| automaton.candidates(stream)).sum::<usize>()
    });
    candidates.sum::<usize>().div_ceil(reading.glyphs.len().max(1))
}

#[test]
fn the_work_is_proportional_to_the_length() {
    let filter = built_in();
    let list = List::built_in();
    let words = list.words.iter().step_by(200).map(|(pattern, _)| pattern.word.as_str());
    let contexts = list.allowed.iter().step_by(200).map(|pattern| pattern.word.as_str());
    let pieces = ["시", "ㅅ", "ㅅㅂ", "s ", "a", "씨이", "시1", "f*", "니애미", "씹", "*", "$", "\u{301}", "ㅋ", "가 "];
    for piece in words.chain(contexts).chain(pieces) {
        let (short, long) = (piece.repeat(10), piece.repeat(200));
        let most = candidates_per_sign(&filter, &short).max(4);
        assert!(candidates_per_sign(&filter, &long) <= most, "{piece} costs more the more there is of it");
        assert!(most <= 20, "{piece} costs {most} candidates per sign");
    }
}

#[test]
fn ordinary_texts_end_in_the_prefilter() {
    let filter = built_in();
    for text in [
        "오늘 방송 진짜 재밌었어요 다음에 또 봐요 ㅋㅋㅋ",
        "다시 발견했네 ㅠㅠㅠ 10분만 더 해줘요!!",
        "ㅇㅇ ㄹㅇ ㄷㄷ 와아아 LG 이겼다",
        "옷 벗고 있네",
        "that was such a good stream, I can't wait for the next :)",
        "as well as classes, and hello from Essex",
        "😂😂 👩‍👩‍👧 ❤️ 今日もありがとう",
    ] {
        assert!(!filter.may_match(text), "{text} is searched for nothing");
    }
}

#[test]
fn every_word_of_the_list_is_found_as_it_is_written() {
    let filter = built_in();
    for (pattern, _) in List::built_in().looked_for() {
        let letter = if pattern.inside { "뷰" } else { "" };
        let word = format!("{letter}{}", pattern.word.replace('?', "*"));
        assert!(!filter.find(&word).is_empty(), "{word} is in the list and not found");
    }
}

#[test]
fn every_allowed_context_is_innocent() {
    let filter = built_in();
    let list = List::built_in();
    for pattern in &list.allowed {
        let language = pattern.options.language.map(|language| list.languages[&language].first().unwrap());
        let letter = if pattern.inside { "뷰" } else { "" };
        let text = format!("{} {letter}{}", language.map_or("", String::as_str), pattern.word);
        let found = found(&filter, &text);
        assert!(found.is_empty(), "{text} is allowed, and {found:?} is found in it");
    }
}

#[test]
fn a_word_is_found_whole_unless_its_stars_say_otherwise() {
    let filter = list("label: a\nbad worse* *evil *awful*");
    assert_eq!(found(&filter, "bad badly notbad"), ["bad"]);
    assert_eq!(found(&filter, "worse worsened unworse"), ["worse", "worse"]);
    assert_eq!(found(&filter, "evil devil evils"), ["evil", "evil"]);
    assert_eq!(found(&filter, "unawfulness"), ["awful"]);
}

#[test]
fn options_say_what_may_be_done_to_a_word() {
    assert_eq!(found(&list("label: a\n*바보* (joined)"), "바보 바 보 바1보"), ["바보"]);
    assert_eq!(found(&list("label: a\n*바보* (open)"), "바봉 바본 바볼"), ["바본", "바볼"]);
    assert_eq!(found(&list("label: a\nsilly (plain)"), "silly s1lly"), ["silly"]);
}

#[test]
fn a_space_in_a_word_may_be_left_out() {
    assert_eq!(
        found(&list("label: a\nbad_word 나쁜_말*"), "bad word badword 나쁜말이 나쁜 말은"),
        ["bad word", "badword", "나쁜말", "나쁜 말"]
    );
}

#[test]
fn overlapping_matches_are_one_under_the_label_of_the_first() {
    let filter = list("label: a\n*가나*\nlabel: b\n*나다*");
    let matches = filter.find("가나다");
    assert_eq!(matches, [Match { range: 0..9, label: "a".into() }]);
}

#[test]
fn an_operators_list_adds_words_and_contexts_and_drops_labels() {
    let mut list = List::parse("label: ko.abuse\n*바보*\nlabel: ko.mild\n*멍청*").unwrap();
    list.extend(List::parse("drop: ko.mild\nlabel: own\n*광고*\nallow: 바보온달").unwrap());
    let filter = Filter::new(&list);
    assert_eq!(found(&filter, "바보온달은 바보, 멍청이, 광고"), ["바보", "광고"]);
    assert_eq!(list.labels().into_iter().collect::<Vec<_>>(), ["ko.abuse", "own"]);
}

#[test]
fn a_rooms_words_are_found_however_they_are_written() {
    let filter =
        Filter::with_words(&["스포일러", "spoiler", "누가 범인", "ネタバレ", "010-1234", "🤡"].map(str::to_owned));
    for text in [
        "스포일러요",
        "스 포 일 러",
        "스1포일러",
        "sp0iler",
        "SPOILER!",
        "s p o i l e r",
        "누가범인",
        "누가 범인이야",
        "ネタバレ",
        "010 1234",
        "01O-1234 아니고 010.1234",
        "🤡",
    ] {
        assert!(!filter.find(text).is_empty(), "{text}");
    }
    for text in ["스포", "spoilers_no", "누가", "0101", "😀", "일러스트"] {
        assert!(filter.find(text).is_empty() || text == "spoilers_no", "{text}");
    }
    assert_eq!(&*filter.find("spoiler")[0].label, "room");
}

#[test]
fn words_without_letters_find_nothing() {
    let filter = Filter::with_words(&["...", "", "  ", "*?"].map(str::to_owned));
    assert!(filter.is_empty());
    assert_eq!(filter.find("... ok *?"), []);
}
