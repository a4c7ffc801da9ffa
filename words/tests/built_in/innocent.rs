//! Ordinary chat: laughter, praise, numbers, and other languages.

use crate::{all_found, all_innocent};

#[test]
fn the_best_known_false_positives_are_innocent() {
    all_innocent(&[
        "classic",
        "class",
        "assassin",
        "시발점",
        "시발역",
        "시발택시",
        "고르곤졸라",
        "새끼손가락",
        "새끼발가락",
    ]);
}

#[test]
fn emphasis_and_praise_are_innocent() {
    all_innocent(&[
        "존맛",
        "존맛탱 ㄹㅇ",
        "개꿀",
        "개꿀잼",
        "미친 와 미쳤다",
        "미친 연기력",
        "ㅁㅊ 대박",
        "개이득",
        "존잘",
        "졸라 재밌다",
        "damn",
        "wtf",
        "omg hell yeah",
    ]);
}

#[test]
fn laughter_cheers_and_abbreviations_are_innocent() {
    all_innocent(&[
        "ㅋㅋㅋㅋㅋㅋ",
        "ㅎㅎㅎ",
        "ㅋㅋㄱㅋㅅㅋㅂㅋ",
        "ㅋㅅㅂㅋ",
        "ㅋㅋㅋㅅㅂㅋㅋㅋ",
        "ㄱㅅ",
        "ㅅㄱ",
        "ㅂㅂ",
        "ㅅㅅ",
        "ㅈㅈ",
        "ㅊㅋㅊㅋ",
        "ㄷㄷ",
        "ㅇㅈ",
        "ㄹㅇㅋㅋ",
        "ㅇㅈㄹ",
        "ㅍㅅㅂㄹ",
        "ㅗㅜㅑ",
        "ㅁㄴㅇㄹ",
        "ㅅ",
        "ㅂ",
        "ㅠㅠ",
    ]);
}

#[test]
fn numbers_and_names_are_innocent() {
    all_innocent(&[
        "18",
        "18살",
        "2018년",
        "18년 만에",
        "십팔 번",
        "A55",
        "455",
        "1337",
        "c8763",
        "5h",
        "4s5",
        "GTX 1080",
        "0.8.1",
        "10놈",
        "s1 s2",
    ]);
}

#[test]
fn other_languages_are_left_alone() {
    all_innocent(&[
        "Привет, как дела",
        "соска для ребёнка",
        "Καλημέρα σας",
        "今日は楽しい",
        "顯靈啦顯靈啦",
        "selamat pagi semua",
        "¿qué pasa?",
        "مرحبا",
        "สวัสดี",
        "🇰🇷🇺🇸🇯🇵",
        "👍🏻👍🏿",
        "(╯°□°)╯︵ ┻━┻",
    ]);
}

#[test]
fn homographs_are_innocent_in_a_text_of_their_language() {
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
