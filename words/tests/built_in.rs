//! The built-in list, by example: what is found, in every dress that people give it, and what is left alone. The right
//! column is the text as `mask` returns it. All texts were written for this test.

use std::sync::LazyLock;

use words::{Filter, List, mask};

static FILTER: LazyLock<Filter> = LazyLock::new(|| Filter::new(&List::built_in()));

fn masked(text: &str) -> String {
    mask(text, &FILTER.find(text))
}

fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<_> = cases
        .iter()
        .map(|(text, expected)| (text, masked(text), expected))
        .filter(|(_, found, expected)| found != **expected)
        .collect();
    assert!(wrong.is_empty(), "text, found, expected: {wrong:#?}");
}

fn innocent(texts: &[&str]) {
    check(&texts.iter().map(|text| (*text, *text)).collect::<Vec<_>>());
}

#[test]
fn korean_abuse_is_found_with_whatever_follows_it() {
    check(&[
        ("시발 오늘 왜 이래", "** 오늘 왜 이래"),
        ("아 씨발ㅋㅋㅋ", "아 **ㅋㅋㅋ"),
        ("야이시발놈아", "야이**놈아"),
        ("진짜 병신들이네", "진짜 **들이네"),
        ("이새끼가 또", "이**가 또"),
        ("개새끼야", "***야"),
        ("저 새낀 뭐야", "저 ** 뭐야"),
        ("지랄하네", "**하네"),
        ("좆같은 게임", "*같은 게임"),
        ("미친놈 아니야", "*** 아니야"),
        ("미친 년들", "*****"),
        ("니애미", "***"),
        ("느금마", "***"),
        ("꺼져라 좀", "*** 좀"),
        ("입 닥쳐", "****"),
        ("나가 죽어", "*****"),
        ("또라이인가", "***인가"),
        ("이런 호로새끼", "이런 ****"),
        ("찐따 같네", "** 같네"),
        ("아가리 다물어", "*** 다물어"),
        ("엿먹어라", "****"),
        ("뒤질래?", "***?"),
    ]);
}

#[test]
fn each_korean_root_is_found_in_its_usual_spellings() {
    for text in [
        "시밤",
        "시파",
        "슈발",
        "쉬바라",
        "씌바",
        "시미친발",
        "쓉쒱키",
        "이 샛기야",
        "미친사끼들",
        "개객기",
        "야 이 자식아",
        "나쁜 자식",
        "젖같네",
        "젓까라",
        "뭣같은 게임",
        "쥐좆만한 게",
        "앰뒤",
        "엠뒤 인생",
        "느금빠",
        "고아냐",
        "패륜아",
        "니 엄마 없냐",
        "때려죽여도 시원찮을",
        "나가 죽으세요",
        "죽고 싶냐",
        "혀 깨물고 죽어",
        "꺼지세요",
        "입 처닫아",
        "짜져",
        "한심한 놈",
        "파렴치한 것들",
        "개만도 못한",
        "년놈들",
        "멍충아",
        "무뇌충",
        "뇌가 우동사리",
        "능지가 처참하네",
        "빡통",
        "관종 새끼",
        "찌질하네",
        "돼지년",
        "니 면상",
        "낯짝도 두껍지",
        "양아치 같네",
        "거지같은",
        "정신병원이나 가라",
        "등씬",
        "엠병",
        "욕쳐먹을",
        "ㅗㅗ",
        "ㅆㄴ",
        "틀극기",
        "개독충",
        "캣맘충",
        "한남은 왜 저래",
        "페미년",
        "도태남",
        "남미새냐",
        "좌파 놈",
        "조선놈",
        "일본년",
        "쌍도놈들",
        "기레기",
        "찢재명",
        "자폐냐",
        "검둥이놈",
        "양키놈",
        "암캐",
        "걸레보지",
        "업소녀",
        "몸 파는 년",
        "뒷보지털",
        "젖 빨고",
        "뒤지게 못하네",
        "ㅉㅉ",
        "쯧쯧",
        "이 벌레들은 답이 없다",
        "쓰레기들 모였네",
        "매국노들",
        "쳐앉아서",
    ] {
        assert_ne!(masked(text), text, "{text}");
    }
}

#[test]
fn what_only_looks_like_one_of_these_roots_is_innocent() {
    innocent(&[
        "오늘 시파티 간다",
        "슈발리에 기사",
        "샛기둥을 세우다",
        "어느새뀌었네",
        "우리 자식아 힘내",
        "내 자식들아",
        "저까지 갈게요",
        "젓가락 주세요",
        "젓갈 같네",
        "엄마 없는 하루",
        "죽어라 뛰었다",
        "빨리 죽어라 보스",
        "닥치고 공격",
        "고아원 봉사",
        "처자식이 있다",
        "상처먹고",
        "저능력으로 어떻게",
        "뇌가 없는 해파리",
        "대면상담 예약",
        "그런거지 같은 반이야",
        "게임 하는 거지 같은데",
        "돼지 새 옷",
        "거지 새 옷",
        "오ㅗㅗㅗ",
        "좋아요ㅗㅗ",
        "정신병원 드라마",
        "창넘어 본다",
        "곤충들이 많다",
        "해충들",
        "보충들으러 가",
        "기생충들",
        "한남동 맛집",
        "한남대교 막힌다",
        "한남 재개발",
        "페미니즘 수업",
        "남미새우 요리",
        "개딸기 농장",
        "무지개같다",
        "흉자국 치료",
        "한국넘버원",
        "미국년도별",
        "일본 종자",
        "일본년간 보고서",
        "운지버섯",
        "장애인 같은 사회적 약자",
        "새우튀기는 중",
        "자지 마",
        "보지 마 제발",
        "보지에 관한",
        "나 보지 벌써 갔어",
        "자지 박물관",
        "딸 쳐다보는 아빠",
        "야스오 픽",
        "질싸움",
        "따먹기 게임",
        "뒤지면 나와",
        "검둥이 산책",
        "벌레들이 많아서 창문 닫음",
        "애벌레들",
        "벌레들어가겠다",
        "쓰레기들 치우자",
        "쳐다봐",
        "쳐들어온다",
    ]);
}

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
fn english_abuse_is_found() {
    check(&[
        ("what the fuck", "what the ****"),
        ("motherfucker!", "mother****er!"),
        ("this is bullshit", "this is ********"),
        ("you asshole", "you *******"),
        ("move your ass", "move your ***"),
        ("son of a bitch", "son of a *****"),
        ("stupid cunts", "stupid ****s"),
        ("such a whore", "such a *****"),
        ("kill yourself", "*************"),
        ("stfu noob", "**** noob"),
    ]);
}

#[test]
fn full_width_and_other_compatibility_forms_are_the_letters_they_stand_for() {
    check(&[
        ("ｆｕｃｋ", "****"),
        ("Ｓｈｉｔ", "****"),
        ("𝓯𝓾𝓬𝓴", "****"),
        ("𝖘𝖍𝖎𝖙", "****"),
        ("ⓕⓤⓒⓚ", "****"),
        ("🅕🅤🅒🅚", "****"),
        ("🄵🅄🄲🄺", "****"),
        ("ﾵￜﾲￂﾩ", "*****"),
        ("\u{1109}\u{1175}\u{1107}\u{1161}\u{11AF}", "**"),
    ]);
}

#[test]
fn what_cannot_be_seen_hides_nothing() {
    check(&[
        ("시\u{200B}발", "***"),
        ("시\u{AD}발", "***"),
        ("시\u{FE0F}발", "**"),
        ("병\u{2060}신", "***"),
        ("병\u{3164}신", "***"),
        ("fu\u{200D}ck", "****"),
        ("s\u{200B}h\u{200B}i\u{200B}t", "*******"),
        ("f\u{E0061}uck", "****"),
    ]);
}

#[test]
fn marks_on_letters_change_nothing() {
    check(&[
        ("fúck", "****"),
        ("s\u{336}h\u{336}i\u{336}t\u{336}", "****"),
        ("ƒück off", "**** off"),
        ("시\u{338}발\u{338}", "**"),
        ("b\u{301}\u{302}\u{303}itch", "*****"),
    ]);
}

#[test]
fn letters_that_are_set_apart_are_put_together() {
    check(&[
        ("시 발", "***"),
        ("시  발 진짜", "**** 진짜"),
        ("시.발", "***"),
        ("시/발놈", "***놈"),
        ("씨~~발", "****"),
        ("시❤발", "***"),
        ("병 신 같네", "*** 같네"),
        ("병*신", "***"),
        ("새 끼", "***"),
        ("개 새 끼", "*****"),
        ("미 친 놈", "*****"),
        ("야이 시 발아", "야이 ***아"),
        ("f u c k you", "******* you"),
        ("s h i t", "*******"),
        ("f.u.c.k", "*******"),
        ("f-u-c-k", "*******"),
        ("b i t c h", "*********"),
        ("fu.ck", "*****"),
        ("sh_it", "*****"),
        ("a s s", "*****"),
    ]);
}

#[test]
fn repetition_and_drawing_out_change_nothing() {
    check(&[
        ("씨이이발", "****"),
        ("시이발", "***"),
        ("시바아아알", "*****"),
        ("시ㅣㅣ발", "****"),
        ("시ㅡ발", "***"),
        ("벼엉신", "***"),
        ("지이랄", "***"),
        ("새애끼", "***"),
        ("조온나", "***"),
        ("시시시발", "시시**"),
        ("ㅅㅅㅂㅂ", "****"),
        ("ㅂㅂㅅㅅ", "****"),
        ("fuuuuck", "*******"),
        ("shiiiit", "*******"),
        ("fffuuuccckkk", "************"),
        ("assss", "*****"),
        ("biiitch", "*******"),
    ]);
}

#[test]
fn leetspeak_is_read() {
    check(&[
        ("sh1t", "****"),
        ("$hit", "****"),
        ("5hit", "****"),
        ("b!tch", "*****"),
        ("b1tch", "*****"),
        ("@ss", "***"),
        ("a$$", "***"),
        ("@$shole", "*******"),
        ("fuck1ng", "****1ng"),
        ("wh0re", "*****"),
        ("n1gg3r", "******"),
        ("f@ggot", "******"),
        ("c0ck", "****"),
        ("p|ssy and d|ck", "p|ssy and ****"),
    ]);
}

#[test]
fn letters_that_were_blotted_out_are_guessed() {
    check(&[
        ("f*ck", "****"),
        ("f**k", "****"),
        ("sh*t", "****"),
        ("b*tch", "*****"),
        ("c#nt", "****"),
        ("n*gg*r", "******"),
        ("fck this", "*** this"),
    ]);
}

#[test]
fn letters_of_other_alphabets_that_look_the_same_are_the_same() {
    check(&[
        ("ѕhit", "****"),
        ("fuсk", "****"),
        ("аss", "***"),
        ("ѕһіт", "****"),
        ("bіtсh", "*****"),
        ("cսnt", "****"),
        ("ｎіｇɡеr", "******"),
        ("νagina ѕlut", "νagina ****"),
    ]);
}

#[test]
fn hangul_in_pieces_is_put_together() {
    check(&[
        ("ㅅㅣㅂㅏㄹ", "*****"),
        ("ㅆㅣㅂㅏㄹ", "*****"),
        ("시ㅂㅏㄹ", "****"),
        ("씨바ㄹ", "***"),
        ("십ㅏㄹ", "***"),
        ("ㅅ ㅣ ㅂ ㅏ ㄹ", "*********"),
        ("ㅂㅕㅇㅅㅣㄴ", "******"),
        ("병ㅅㅣㄴ", "****"),
        ("ㅁㅣ친놈", "****"),
        ("씨ㅂ", "**"),
        ("ㅅ발", "**"),
        ("ㅂ신", "**"),
        ("병ㅅ", "**"),
        ("ㅈ랄", "**"),
        ("개ㅅㄲ", "***"),
        ("새ㄲ", "**"),
        ("ㅈ같네", "**네"),
    ]);
}

#[test]
fn initials_that_stand_for_an_abuse_are_found() {
    check(&[
        ("ㅅㅂ", "**"),
        ("아 ㅅㅂ 진짜", "아 ** 진짜"),
        ("아ㅅㅂ", "아**"),
        ("ㅅㅂ새끼", "****"),
        ("ㅅㅂㅋㅋㅋ", "**ㅋㅋㅋ"),
        ("ㅅ ㅂ", "***"),
        ("ㅆㅂ", "**"),
        ("ㅂㅅ", "**"),
        ("ㅄ아", "*아"),
        ("ㅈㄹ하네", "**하네"),
        ("ㄲㅈ", "**"),
        ("ㅅㄲ들", "**들"),
        ("ㄱㅅㄲ", "***"),
        ("ㅁㅊㄴ", "***"),
    ]);
}

#[test]
fn digits_and_letters_between_syllables_are_skipped() {
    check(&[
        ("시1발", "***"),
        ("시2발아", "***아"),
        ("시x발", "***"),
        ("병1신", "***"),
        ("병123신", "*****"),
        ("지1랄", "***"),
        ("야이시1발놈", "야이***놈"),
        ("시ㅋ발", "***"),
        ("병ㅋㅋ신", "****"),
        ("개1새끼", "****"),
        ("ㅅ1발", "***"),
        ("ㅅㅣ1발", "****"),
    ]);
}

#[test]
fn what_sounds_or_looks_alike_is_found() {
    check(&[
        ("씨팔", "**"),
        ("쉬벌", "**"),
        ("싀발", "**"),
        ("씹알", "**"),
        ("쒸발", "**"),
        ("씌벌", "**"),
        ("븅신", "**"),
        ("빙신아", "**아"),
        ("병싄", "**"),
        ("개쉐리", "***"),
        ("게세끼", "***"),
        ("쌔끼", "**"),
        ("새꺄", "**"),
        ("씹새야", "**야"),
        ("지럴", "**"),
        ("좃까", "*까"),
        ("또롸이 말고 똘아이", "또롸이 말고 ***"),
        ("c발", "**"),
        ("^^ㅣ발", "^^**"),
        ("^^l발", "^^**"),
        ("tlqkf", "*****"),
        ("Tlqkf", "*****"),
        ("ssibal", "******"),
        ("뻑큐", "**"),
        ("fvck", "****"),
        ("phuck", "*****"),
        ("biatch", "******"),
    ]);
}

#[test]
fn the_words_of_the_issue_are_innocent() {
    innocent(&[
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
fn korean_words_that_contain_one_are_innocent() {
    innocent(&[
        "이번 사태의 시발점은",
        "부산행 시발역에서 탔어요",
        "새끼손가락 걸고 약속",
        "고르곤졸라 피자 먹고싶다",
        "새끼 고양이 너무 귀엽다",
        "고양이 새끼 낳았대",
        "우리 새끼 잘한다",
        "미운 우리 새끼 보는 중",
        "하루 세끼 다 먹음",
        "삼시세끼 재방송",
        "전염병 조심하세요",
        "질병신고는 어디에",
        "팔등신이네",
        "등신대 세워놨네",
        "8등신 모델",
        "일시불 결제",
        "가족같은 분위기",
        "원조까지 왔네",
        "생존나이트",
        "공존내용",
        "메갈로돈 영화",
        "한남 더 힐 시세",
        "호구년생이래 ㅋㅋ",
        "여미새우 튀김",
        "한남동 맛집",
        "한남대교 막히네",
        "소년들이 온다",
        "청년아 힘내라",
        "10년들 기다렸다",
        "조개소리가 나네",
        "번개같은 속도",
        "살아가리라",
        "돌아가리라 고향으로",
        "병아가리",
        "홍어무침 맛있다",
        "홍어 먹으러 가자",
        "삭힌 홍어 도전",
        "흑산도 홍어가 좋대",
        "할머니 틀니 맞춰드렸어",
        "틀니 세정제 광고",
        "마음에 새기고",
        "보지 마세요",
        "그거 보지 않았어요",
        "자지 말고 일어나",
        "해 보지도 않고",
        "꼭꼭 씹어 드세요",
        "껌을 씹고 있어요",
        "읽씹 당함",
        "메시지라도 보내줘",
        "이미지랑 영상",
        "갈보리 교회",
        "에식스 대학",
        "소음순서대로",
        "생선 대가리 튀김",
        "가방 뒤져보세요",
        "불이 꺼져서",
        "역시 발라드지",
        "개새우 볶음",
        "날씨발표",
        "시바견 귀여워",
        "씨바로 보내",
        "다람쥐새끼손톱만하다",
        "시벌써 열두시",
        "조또마떼 쿠다사이",
        "갑진년 새해",
        "네비 켜고 가자",
        "곱씹어 볼 말",
        "냄새끼리 섞였네",
        "그 년도에는",
        "올해는 10주년들이 많다",
    ]);
}

#[test]
fn letters_of_two_words_are_not_one_word() {
    innocent(&[
        "그 시 발표",
        "다시 발견",
        "다시발견",
        "시 발생",
        "역시 발로란트",
        "역시발로",
        "잠시 발 좀",
        "9시 발표",
        "10 시 발 열차",
        "서울역 10시 발",
        "몇 시 발 버스야?",
        "우리집 개 새끼 낳았대",
        "9시.발표",
        "도시 발전",
        "동시 발매",
        "아저씨 발 조심",
        "택시 발견했다",
        "다시1발 쏴",
        "다시ㅋㅋㅋ발로 해봐",
        "아니 미친 존재감",
        "당신 년도가",
        "이 개 새 옷 입었네",
        "요새 끼니는",
        "어제 새 끼운 거",
        "as soon as shipping",
        "this hit different",
        "it's hit or miss",
        "was it",
        "push it",
        "fish itch",
        "if u can",
        "half a s",
        "pen is mightier",
        "the pen is here",
        "grass hopper",
        "kick as soon as you can",
        "dic kens",
    ]);
}

#[test]
fn emphasis_and_praise_are_innocent() {
    innocent(&[
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
    innocent(&[
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
    innocent(&[
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
fn english_words_that_contain_one_are_innocent() {
    innocent(&[
        "Scunthorpe",
        "titles",
        "muzzle",
        "blotch",
        "cuckoo",
        "who're you",
        "Takeshita",
        "Guy Fawkes",
        "sniggering",
        "pornography law",
        "5HT",
        "Jaap",
        "goodie bag",
        "cockpit",
        "cocktail",
        "peacock",
        "Dickens",
        "dickinson",
        "shiitake",
        "shitake mushrooms",
        "assess",
        "assume",
        "bass",
        "embassy",
        "passion",
        "class action",
        "grass",
        "Massachusetts",
        "analysis",
        "canal",
        "title",
        "titanic",
        "circumstance",
        "document",
        "cucumber",
        "therapist",
        "grape",
        "hoedown",
        "shoe",
        "phoenix",
        "spicy",
        "despicable",
        "coonhound",
        "raccoon",
        "night",
        "custard",
        "mustard",
        "leotard",
        "flame retardant",
        "Van Dyke",
        "Maine coon",
        "Moby Dick",
        "magna cum laude",
        "pussycat",
        "swank",
        "matsushita",
        "deshita",
        "japan",
        "japanese",
        "spice",
        "hello",
        "shuttlecock",
        "Hancock",
        "Hitchcock",
        "basement",
        "assistant",
        "hit the ball",
    ]);
}

#[test]
fn other_languages_are_left_alone() {
    innocent(&[
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
fn an_allowed_context_does_not_hide_what_is_beside_it() {
    check(&[
        ("개새끼손가락", "***손가락"),
        ("시발점 시발", "시발점 **"),
        ("새끼손가락새끼", "새끼손가락**"),
        ("classy ass", "classy ***"),
        ("시발시발점", "**시발점"),
    ]);
}

#[test]
fn labels_say_of_what_kind_a_word_is() {
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
