//! What texts that nobody had seen showed: words that were missed, contexts that freed plain swearing, and innocent words
//! that were found. Beside each that was reported, others of its kind.

use std::sync::LazyLock;

use words::{Filter, List, mask};

static FILTER: LazyLock<Filter> = LazyLock::new(|| Filter::new(&List::built_in()));

fn found<'t>(filter: &Filter, text: &'t str) -> Vec<&'t str> {
    filter.find(text).into_iter().map(|found| &text[found.range]).collect()
}

fn all_found(texts: &[&str]) {
    let missed: Vec<_> = texts.iter().filter(|text| FILTER.find(text).is_empty()).collect();
    assert!(missed.is_empty(), "missed: {missed:?}");
}

fn all_innocent(texts: &[&str]) {
    let wrong: Vec<_> = texts
        .iter()
        .map(|text| mask(text, &FILTER.find(text)))
        .zip(texts)
        .filter(|(masked, text)| masked != *text)
        .collect();
    assert!(wrong.is_empty(), "found: {wrong:?}");
}

/// A room's word, a text, and what of it is found.
#[test]
fn a_rooms_word_needs_no_blank_where_its_script_has_none() {
    for (word, text, expected) in [
        ("🤡", "🤡", &["🤡"][..]),
        ("🤡", "🤡🤡🤡", &["🤡", "🤡", "🤡"]),
        ("🤡", "you🤡", &["🤡"]),
        ("🤡", "너 🤡🤡", &["🤡", "🤡"]),
        ("🤡", "🤡다", &["🤡"]),
        ("🤡", "3🤡3", &["🤡"]),
        ("🤡", "🤡🏿👍", &["🤡🏿"]),
        ("❤", "❤️❤️", &["❤️", "❤️"]),
        ("🇰🇷", "🇰🇷🇯🇵", &["🇰🇷"]),
        ("🇰🇷", "🇺🇰🇷🇺", &[]),
        ("👩", "👨‍👩‍👧", &[]),
        ("★", "★★", &["★", "★"]),
        ("剧透", "不要剧透啊", &["剧透"]),
        ("剧透", "剧.透了", &["剧.透"]),
        ("剧透", "我看剧,透明的", &[]),
        ("ネタバレ", "これはネタバレです", &["ネタバレ"]),
        ("ネタバレ", "ネタバレ禁止", &["ネタバレ"]),
        ("สปอย", "อย่าสปอยนะ", &["สปอย"]),
        ("スカー", "スカーフ", &["スカー"]),
        ("T1", "T1이 이겼다", &["T1"]),
        ("T1", "우리T1", &["T1"]),
        ("T1", "GT1 T10", &[]),
        ("010-1234", "0010-12345", &[]),
        ("010-1234", "번호는010-1234야", &["010-1234"]),
        ("рот", "рот", &["рот"]),
        ("рот", "работа", &[]),
        ("спойлер", "спойлеры", &[]),
        ("spoiler", "spoiler임", &["spoiler"]),
    ] {
        assert_eq!(found(&Filter::with_words(&[word.to_owned()]), text), expected, "{word} in {text}");
    }
}

#[test]
fn an_operators_symbols_are_found_beside_letters_and_each_other() {
    let filter = Filter::new(&List::parse("label: a\n🖕 c발*").unwrap());
    assert_eq!(found(&filter, "🖕🖕 너🖕"), ["🖕", "🖕", "🖕"]);
    assert_eq!(found(&filter, "비타민c발포정 c발"), ["c발"]);
}

#[test]
fn a_context_frees_nothing_of_a_longer_word() {
    all_found(&[
        "시발생각보다 어렵네",
        "시발역시",
        "시발끝났다",
        "시발표정 봐",
        "시발견제 오지네",
        "시발차이 뭐야",
        "시발점수 왜이래",
        "시발매번 이러네",
        "시발동생이 또",
        "아시발표정",
        "진짜시발생각할수록",
        "일베지시발 저게 무슨",
        "역시발 개못하네",
        "혹시발놈인가",
        "도시발놈들아",
        "그 문제새끼",
        "숙제새끼",
        "거울새끼",
        "서울새끼들",
        "서울 새끼들",
        "저 새끼 말이 맞다고",
        "저새끼 말에서",
        "이 새끼 개웃기네",
        "이 새끼 소름",
        "저 새끼 양심 없네",
        "새끼꼬라지",
        "여기존나 좁네",
        "경기존나 재밌네",
        "you know jackshit",
        "that dipshit again",
        "못생긴 한남 동생",
        "그년도 똑같아",
        "저년도 미쳤네",
        "여초년들 또",
        "개독 씨발라마들아",
        "최씹니꺼",
        "근데씹지잡",
        "씹지리네",
        "씹고수네",
        "뭔 개지랄까지 하냐",
        "온갖지랄까고 있네",
        "족같은 회사",
        "씨바다 진짜",
        "부산시발개같네",
        "닥쳐오빠",
    ]);
}

#[test]
fn a_context_holds_at_the_edge_of_a_word_and_before_particles() {
    all_innocent(&[
        "시발점",
        "시발점이 됐다",
        "시발점이었습니다",
        "시발점이라고 봐",
        "문제의시발점은",
        "시발역에서는",
        "시발역까지 간다",
        "시발택시로",
        "시발점ㅋㅋ",
        "시발점!",
        "고시발표가 났다",
        "원시발견된",
        "역시발견했네",
        "대도시발전",
        "부산시발전위원회",
        "원시발명품",
        "열시발 비행기",
        "아기새끼리 논다",
        "새끼손가락만",
        "새끼손가락이랑",
        "이 새끼손가락 다쳤어",
        "이 새끼 고양이 귀여워",
        "새끼 곰이 나온다",
        "우리 새끼들",
        "내 새끼야",
        "냄새끼리 섞임",
        "길고양이새끼",
        "청소년들이",
        "대학생 2년들",
        "미성년들은",
        "생존나 하고 있네",
        "기존나라",
        "한남동에서",
        "한남 대교",
        "홍어회를",
        "하루 세끼를",
    ]);
}

#[test]
fn an_operators_context_has_edges_too() {
    let filter =
        Filter::new(&List::parse("label: a\n*바보* *dumb*\nallow: 바보온달 *바보상자* +바보네 dumbbell").unwrap());
    assert_eq!(found(&filter, "바보온달은 새바보온달 바보온달놈"), ["바보", "바보"]);
    assert_eq!(found(&filter, "새바보상자놈"), Vec::<&str>::new());
    assert_eq!(found(&filter, "울바보네 바보네"), ["바보"]);
    assert_eq!(found(&filter, "dumbbell dumbbells dumbbell's dumbbellx"), ["dumbb"]);
    let filter = Filter::new(&List::parse("label: a\n*바보*\nallow: 바보온달 (whole)").unwrap());
    assert_eq!(found(&filter, "바보온달 바보온달은"), ["바보"]);
}

#[test]
fn korean_swearing_is_found_glued_to_nouns_and_in_more_spellings() {
    all_found(&[
        "거지새키",
        "저새키들",
        "도둑새키야",
        "거지샤끼",
        "미친샤끼들",
        "거지셐",
        "남페미셐들",
        "김치뇬",
        "미친뇬들",
        "동네뇬이",
        "김치냔",
        "미친냔아",
        "썅련",
        "김치련들",
        "거지련아",
        "중국년들이",
        "동네년들은",
        "잦같네",
        "잦같은",
        "젓가튼",
        "젖가튼 게임",
        "좆가튼",
        "야랄",
        "개야랄",
        "야랄떠네",
        "저색키",
        "급식쉑기",
        "양아치샤키",
        "못생긴련",
        "조까튼",
        "씨뻘",
        "야랄하네",
        "야랄났다",
        "씪발",
        "씪발놈",
        "개극혐",
        "완전극혐",
        "쳐발렸네",
        "쳐발리네",
        "개쳐발렸네",
    ]);
    all_innocent(&[
        "어느새키가 컸네",
        "요새키우는",
        "뭐하냔 말이야",
        "이냔 말이지",
        "있냔다",
        "훈련은",
        "시련아 와라",
        "미련들",
        "관련들",
        "어쩌라뇬",
        "작년들",
        "소년들은",
        "야랄라",
        "머리에 처발라",
    ]);
}

#[test]
fn korean_swearing_is_found_however_it_is_split() {
    all_found(&[
        "거지새.끼",
        "돼지새1끼",
        "거지새1끼들",
        "돼지새.끼야",
        "도둑새-끼",
        "거지병1신",
        "ㅅ1ㅂ",
        "ㅅ.ㅂ",
        "ㅂ1ㅅ",
        "ㅅ12ㅂ",
        "ㅈ1ㄹ",
    ]);
    all_innocent(&[
        "다시1발 쏴",
        "요새.끼니는",
        "냄새,끼니",
        "질병.신고",
        "ㅋㅅㅋㅂㅋ",
        "ㅅㅋㅂ",
        "1ㅅ2ㅂ3ㅁ",
        "ㅅ1ㅂ2ㅈ3",
        "저는 또 아이 보러 가요",
        "돌 아이 선물",
        "쪽 발이 아파",
        "개 소리 나는데",
        "개 같은 동물이 좋아",
        "또 아이",
        "첫 돌 아이",
    ]);
}

#[test]
fn english_swearing_is_found_behind_a_word_of_one_letter_and_under_symbols() {
    all_found(&[
        "such a w h o r e",
        "u s l u t",
        "i f u c k",
        "w h o r e u",
        "b!+ch",
        "b!+ches",
        "b1+ch",
        "4s$",
        "you @$$",
        "s#it",
        "fu*k",
        "sh!+",
        "u r a w h o r e",
        "sh%@",
        "sh**",
        "f***",
        "f****",
        "f***ing",
        "f*** you",
        "f@#k",
        "f#@%",
        "f%&k",
        "s#!t",
        "b****",
        "pussys",
        "sheit",
        "sheeit",
    ]);
    all_innocent(&[
        "g r a s s",
        "p a s s",
        "c l a s s",
        "A5s",
        "A55",
        "4s5",
        "455",
        "R&B",
        "f&g",
        "5 ***",
        "a***",
        "Q&A",
        "what?!",
        "C# and F#",
        "C++",
        "@#$#%$&&T$#",
        "u n i t s",
        "100%",
        "a + b",
        "J*** from work",
        "*waves*",
        "form*",
    ]);
}

#[test]
fn mild_insults_have_a_label_of_their_own_and_are_found_on_demand() {
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

#[test]
fn names_and_compounds_of_english_are_innocent() {
    all_innocent(&[
        "congrats Nishit",
        "he mishit that drive",
        "Harshit and Akshita",
        "Kshitij",
        "Dikshit",
        "Rakshit",
        "Ashita",
        "Yamashita",
        "Lakshita",
        "tensei shitara toh",
        "cum back",
        "cum here everyone",
        "Chorlton-cum-Hardy",
        "Slutsky",
        "fukkatsu",
        "Kushite kings",
        "Scunthorpe's",
    ]);
    all_found(&[
        "bullshit",
        "horseshit",
        "holyshit",
        "apeshit",
        "dumbshits",
        "shitshow",
        "ohshit",
        "batshit crazy",
        "thatshit",
        "i want to cum in you",
        "shite",
    ]);
}

#[test]
fn words_of_other_languages_are_innocent_among_their_own() {
    all_innocent(&[
        "je suis en retard",
        "à plus tard",
        "desole pour le retard",
        "il est trop tard",
        "hoe gaat het?",
        "ik weet niet hoe",
        "hoe laat is het",
        "filmen är slut",
        "slutet var bra",
        "till slut",
        "ett beslut",
        "das ist zu dick",
        "jeg elsker det fag",
        "kys og kram, jeg elsker dig",
        "nu stiu cum sa fac",
        "cum ești?",
        "hola Kike, como estas",
        "hoe oud ben je",
        "Weet hoe bevreesd ik er ooit voor was",
        "das Ass ist gut",
        "Pik Ass",
        "kys mig",
        "gobbledy gook",
    ]);
    all_found(&[
        "you retard",
        "what a hoe",
        "that hoe is dumb",
        "dumb slut",
        "suck my dick",
        "i will cum",
        "fag",
        "kys",
    ]);
}

#[test]
fn productive_forms_of_korean_are_innocent() {
    all_innocent(&[
        "껌씹노",
        "껌씹냐",
        "톡씹고 있네",
        "고기 씹네",
        "안씹음",
        "오씹었어",
        "팀겜은 개씹어먹는데",
        "카톡씹혔누",
        "일종의 의지랄까",
        "메시지랄까",
        "거지랄까요",
        "편지랄 것도 없어",
        "화질 짱깨끗하네",
        "짱깨끗해",
        "짱개웃겨",
        "짱개귀엽다",
    ]);
    all_found(&["짱깨우한폐렴", "짱개새끼", "지랄까네", "지랄까지 마", "짱깨지"]);
}
