//! Each limit alone, what a dropped reservation releases, and what the log adds.

use std::sync::atomic::{AtomicUsize, Ordering};

use chat::settings::{Links, WordPolicy};

use super::unique_chat::as_read;
use super::*;

const VIEWER: i64 = 7;

fn limits() -> Limits {
    // Rates per hour, so that no quota comes back while a test runs.
    let moderator_rate = Rate { messages: 5, seconds: 3_600 };
    let (user_rate, decision_rate) = (Rate { messages: 8, seconds: 3_600 }, Rate { messages: 3, seconds: 3_600 });
    let read_rate = Rate { messages: 2, seconds: 3_600 };
    let config = LimitsConfig {
        moderator_rate,
        user_rate,
        decision_rate,
        report_rate: decision_rate,
        read_rate,
        bans_in_room: 1_000,
        bans_everywhere: 10_000,
        moderators_in_room: 100,
        holds_in_room: 100,
    };
    Limits::new(&config).unwrap()
}

fn settings() -> Settings {
    Settings {
        slow_mode_seconds: 0,
        unique_chat: false,
        presenter_only: false,
        emoji_only: false,
        links: Links::Everyone,
        word_policy: WordPolicy::Off,
        words: Vec::new(),
        max_length: 500,
        message_rate: Rate { messages: 3, seconds: 3_600 },
        readers: chat::Readers::Off,
    }
}

fn slow() -> Settings {
    Settings { slow_mode_seconds: 60, ..settings() }
}

fn unique() -> Settings {
    Settings { unique_chat: true, ..settings() }
}

fn ask(room: i64, user: i64, text: &str) -> Ask<'_> {
    let (presenter, user) = (PresenterIdx::try_from(room).unwrap(), UserIdx::try_from(user).unwrap());
    let role = if user == presenter.as_user() { Role::Presenter } else { Role::Viewer };
    Ask { id: EventId::new(), presenter, user, role, text }
}

fn observed(ask: Ask<'_>) -> Observed<'_> {
    let Ask { id, presenter, user, role, text } = ask;
    Observed { id, age: Duration::ZERO, presenter, user, role, text }
}

/// Posts a message that is stored, and returns its quota.
fn write(limits: &Limits, ask: Ask<'_>, settings: &Settings) -> Result<Quota, Limited> {
    let reservation = limits.admit(&ask, settings)?;
    let quota = reservation.quota;
    reservation.appending();
    limits.observe(&observed(ask), settings);
    reservation.stored();
    Ok(quota)
}

fn is_rate(result: Result<Quota, Limited>, name: &str) -> bool {
    matches!(result, Err(Limited::Rate { quota: Quota { policy, remaining: 0, .. }, .. }) if policy == name)
}

#[test]
fn a_viewer_gets_the_rooms_rate_and_the_presenter_the_moderators_rate() {
    let (limits, settings) = (limits(), settings());
    let left = |ask| write(&limits, ask, &settings).map(|quota| quota.remaining);
    assert_eq!(
        [left(ask(1, VIEWER, "a")), left(ask(1, VIEWER, "b")), left(ask(1, VIEWER, "c"))],
        [Ok(2), Ok(1), Ok(0)]
    );
    let Err(Limited::Rate { retry_after, quota }) = left(ask(1, VIEWER, "d")) else { panic!("a fourth is let in") };
    assert_eq!(quota, Quota { policy: "room", rate: settings.message_rate, remaining: 0 });
    assert!((1_190..=1_200).contains(&retry_after.as_secs()), "a third of an hour: {retry_after:?}");

    assert_eq!(left(ask(1, 8, "another viewer")), Ok(2));
    assert_eq!(
        (0..5).map(|_| left(ask(1, 1, "the presenter"))).collect::<Vec<_>>(),
        (0..5).rev().map(Ok).collect::<Vec<_>>()
    );
    assert!(left(ask(1, 1, "the presenter")).is_err());
}

#[test]
fn a_user_also_has_one_rate_across_all_rooms() {
    let (limits, settings) = (limits(), settings());
    for n in 0..8 {
        let quota = write(&limits, ask(100 + n, VIEWER, "hi"), &settings).unwrap();
        // The quota is that of the rate with less left.
        assert_eq!(quota.policy, if n < 6 { "room" } else { "user" }, "message {n}");
    }
    assert!(is_rate(write(&limits, ask(200, VIEWER, "hi"), &settings), "user"));
    assert!(write(&limits, ask(200, 8, "hi"), &settings).is_ok());
}

#[test]
fn a_rooms_new_rate_starts_with_a_full_quota() {
    let limits = limits();
    let narrow = Settings { message_rate: Rate { messages: 1, seconds: 60 }, ..settings() };
    assert!(write(&limits, ask(1, VIEWER, "a"), &narrow).is_ok());
    assert!(is_rate(write(&limits, ask(1, VIEWER, "b"), &narrow), "room"));
    assert_eq!(write(&limits, ask(1, VIEWER, "b"), &settings()).unwrap().remaining, 2);
    assert!(is_rate(write(&limits, ask(1, VIEWER, "c"), &narrow), "room"));
}

#[test]
fn messages_of_other_nodes_count_and_this_nodes_own_count_once() {
    let (limits, settings) = (limits(), settings());
    let hi = || ask(1, VIEWER, "hi");
    assert_eq!(write(&limits, hi(), &settings).unwrap().remaining, 2);
    limits.observe(&observed(hi()), &settings);
    assert_eq!(write(&limits, hi(), &settings).unwrap().remaining, 0);
    for _ in 0..10 {
        limits.observe(&observed(hi()), &settings);
    }
    assert!(is_rate(write(&limits, ask(2, VIEWER, "hi"), &settings), "user"));
}

#[test]
fn messages_older_than_the_limits_period_do_not_count() {
    let limits = limits();
    let settings = Settings { message_rate: Rate { messages: 1, seconds: 60 }, slow_mode_seconds: 60, ..unique() };
    let old = Observed { age: Duration::from_secs(61), ..observed(ask(1, VIEWER, "old")) };
    limits.observe(&old, &settings);
    assert!(write(&limits, ask(1, VIEWER, "new"), &settings).is_ok());
    assert_eq!(write(&limits, ask(1, 8, "old"), &settings), Err(Limited::Duplicate), "ten minutes are not over");
    let ancient = Observed { age: Duration::MAX, ..observed(ask(1, 9, "ancient")) };
    limits.observe(&ancient, &settings);
    assert!(write(&limits, ask(1, 9, "ancient"), &settings).is_ok());
}

#[test]
fn slow_mode_admits_one_message_of_a_viewer_per_pause() {
    let (limits, slow) = (limits(), slow());
    assert!(write(&limits, ask(1, VIEWER, "a"), &slow).is_ok());
    let Err(Limited::SlowMode { retry_after }) = write(&limits, ask(1, VIEWER, "b"), &slow) else {
        panic!("a second is let in")
    };
    assert!((50..=60).contains(&retry_after.as_secs()), "{retry_after:?}");
    assert!(write(&limits, ask(1, 8, "b"), &slow).is_ok(), "another viewer");
    assert!(write(&limits, ask(2, VIEWER, "b"), &slow).is_ok(), "another room");
    for text in ["c", "d"] {
        assert!(write(&limits, ask(1, 1, text), &slow).is_ok(), "the presenter");
        assert!(write(&limits, Ask { role: Role::Moderator, ..ask(1, 9, text) }, &slow).is_ok(), "a moderator");
    }
}

#[test]
fn slow_mode_admits_the_next_message_when_the_pause_is_over() {
    let slow_mode = SlowMode::new();
    let (room, user) = ("1".parse().unwrap(), "7".parse().unwrap());
    let pause = Duration::from_secs(5);
    slow_mode.begin(EventId::new(), room, user, pause, Instant::now()).unwrap().unwrap().done();
    let at = |seconds| Instant::now() + Duration::from_secs(seconds);
    let early = slow_mode.begin(EventId::new(), room, user, pause, at(3)).unwrap_err();
    assert_eq!(early, Limited::SlowMode { retry_after: Duration::from_secs(2) });
    assert!(slow_mode.begin(EventId::new(), room, user, pause, at(5)).is_ok());
}

#[test]
fn slow_mode_refuses_a_second_message_while_the_first_is_being_appended() {
    let (limits, slow) = (limits(), slow());
    let first = limits.admit(&ask(1, VIEWER, "a"), &slow).unwrap();
    assert!(matches!(limits.admit(&ask(1, VIEWER, "b"), &slow), Err(Limited::SlowMode { .. })));
    drop(first);
    let second = limits.admit(&ask(1, VIEWER, "b"), &slow).expect("a message that was refused delays none");
    second.stored();
    assert!(matches!(limits.admit(&ask(1, VIEWER, "c"), &slow), Err(Limited::SlowMode { .. })));
}

#[test]
fn slow_mode_and_unique_chat_each_admit_one_of_a_hundred_concurrent_posts() {
    let limits = limits();
    let admitted = |settings: &Settings, users: bool| {
        let admitted = std::thread::scope(|scope| {
            let asks: Vec<_> = (0..100)
                .map(|n| {
                    let limits = &limits;
                    scope.spawn(move || limits.admit(&ask(1, if users { 1_000 + n } else { VIEWER }, "hi"), settings))
                })
                .collect();
            asks.into_iter().map(|ask| ask.join().unwrap()).filter_map(Result::ok).collect::<Vec<_>>()
        });
        admitted.len()
    };
    assert_eq!(admitted(&slow(), false), 1);
    assert_eq!(admitted(&unique(), true), 1);
}

#[test]
fn unique_chat_admits_exactly_one_of_two_simultaneous_posts_of_a_text() {
    const TEXTS: usize = 5_000;
    let (limits, unique) = (limits(), unique());
    // Both threads spin instead of blocking, so that they look at the same time.
    let arrived = AtomicUsize::new(0);
    let say = |user: i64| -> Vec<bool> {
        let say = |text: usize| {
            arrived.fetch_add(1, Ordering::SeqCst);
            while arrived.load(Ordering::SeqCst) < 2 * (text + 1) {
                std::thread::yield_now();
            }
            let reservation = limits.admit(&ask(1, user + 2 * text as i64, &text.to_string()), &unique);
            reservation.map(Reservation::stored).is_ok()
        };
        (0..TEXTS).map(say).collect()
    };
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(|| say(1_001));
        (say(1_000), other.join().unwrap())
    });
    let wrong: Vec<usize> = (0..TEXTS).filter(|text| one[*text] == other[*text]).collect();
    assert_eq!(wrong, [0_usize; 0], "texts that both said, or neither");
}

#[test]
fn unique_chat_refuses_a_recent_text_in_any_case_width_or_spacing() {
    let (limits, unique) = (limits(), unique());
    assert!(write(&limits, ask(1, VIEWER, "hello there"), &unique).is_ok());
    for (user, text) in (20..).zip(["hello there", " HELLO   there", "ｈｅｌｌｏ there", "hel\u{200D}lo there"]) {
        assert_eq!(write(&limits, ask(1, user, text), &unique), Err(Limited::Duplicate), "{text}");
    }
    assert!(write(&limits, ask(2, 9, "hello there"), &unique).is_ok(), "another room");
    assert!(write(&limits, ask(1, 1, "hello there"), &unique).is_ok(), "the presenter");

    limits.observe(&observed(ask(1, 9, "from elsewhere")), &unique);
    assert_eq!(write(&limits, ask(1, 10, "From elsewhere"), &unique), Err(Limited::Duplicate));
}

#[test]
fn unique_chat_admits_a_text_again_unless_the_log_has_it() {
    let (limits, unique) = (limits(), unique());
    let claimed = limits.admit(&ask(1, VIEWER, "hi"), &unique).unwrap();
    assert!(matches!(limits.admit(&ask(1, 8, "hi"), &unique), Err(Limited::Duplicate)));
    drop(claimed);
    let late = ask(1, 9, "hi");
    let claimed = limits.admit(&late, &unique).unwrap();
    // The log has the message after all.
    claimed.appending();
    limits.observe(&observed(late), &unique);
    drop(claimed);
    assert!(matches!(limits.admit(&ask(1, 10, "hi"), &unique), Err(Limited::Duplicate)));
}

#[test]
fn a_retry_is_not_limited_by_its_own_first_attempt() {
    let limits = limits();
    let settings = Settings { slow_mode_seconds: 60, ..unique() };
    let message = ask(1, VIEWER, "hi");
    let first = limits.admit(&message, &settings).unwrap();
    // Dropping the retry's reservation must not release what the first try holds.
    drop(limits.admit(&message, &settings).expect("the first try is on its way"));
    assert!(matches!(limits.admit(&ask(1, VIEWER, "other"), &settings), Err(Limited::SlowMode { .. })));
    assert_eq!(write(&limits, ask(1, 8, "hi"), &settings), Err(Limited::Duplicate));
    first.stored();
    drop(limits.admit(&message, &settings).expect("the first try has just come into the log"));
    assert!(matches!(limits.admit(&ask(1, VIEWER, "other"), &settings), Err(Limited::SlowMode { .. })));
}

#[test]
fn rooms_without_slow_mode_and_unique_chat_take_no_memory() {
    let limits = limits();
    write(&limits, ask(1, VIEWER, "hi"), &settings()).unwrap();
    limits.observe(&observed(ask(1, VIEWER, "hi")), &settings());
    assert_eq!((limits.slow_mode.len(), limits.unique_chat.len()), (0, 0));
}

#[test]
fn unique_chat_compares_texts_by_what_a_reader_sees() {
    let same = [
        ("Hello", "hello"),
        ("ＡＢＣ １２３", "abc 123"),
        ("  a \u{3000} b ", "a b"),
        ("what?!!!", "what?!"),
        ("what?! !!", "what?! !"),
        ("\u{1112}\u{1161}\u{11AB}", "한"),
        ("안\u{200D}녕", "안녕"),
        ("🙂🙂🙂", "🙂"),
        ("👍\u{FE0F}", "👍"),
        // Characters that clients append by themselves, and default ignorables.
        ("buy now \u{E0000}", "buy now"),
        ("재밌다 \u{34F}", "재밌다"),
        ("\u{200B}\u{2060}\u{FEFF}hi\u{AD}\u{180E}\u{E0100}\u{E007F}", "hi"),
        ("a\u{17B4}\u{115F}\u{1160}\u{1D173}\u{FFF0}\u{2065}b", "ab"),
        ("한\u{1160}글\u{115F}", "한글"),
        // Blanks whose category is letter or symbol.
        ("a\u{3164}b", "a b"),
        ("a \u{2800}\u{FFA0} b\u{3164}", "a b"),
        // Marks that belong to no script.
        ("b\u{335}u\u{336}y\u{20DD}", "buy"),
        ("e\u{301}", "é"),
        ("가\u{E49}", "가"),
    ];
    for (text, read) in same {
        assert_eq!(as_read(text), read, "{text:?}");
    }
    // Repeated letters and numbers stay: a longer laugh is another text.
    assert_ne!(as_read("ㅋㅋㅋ"), as_read("ㅋㅋ"));
    assert_ne!(as_read("11"), as_read("1"));
    // So do marks of a letter's own script, and marks that compose with a letter.
    for (one, other) in [("ไม่", "ไม้"), ("कु", "कू"), ("か\u{3099}", "か"), ("café", "cafe"), ("й", "и")]
    {
        assert_ne!(as_read(one), as_read(other));
    }
    assert_ne!(as_read("\u{E49}\u{E49}"), as_read("ก\u{E49}\u{E49}"));
}

#[test]
fn decisions_have_their_own_rate_across_all_nodes() {
    let limits = limits();
    let user = UserIdx::try_from(VIEWER).unwrap();
    let own = EventId::new();
    assert_eq!(limits.decide(own, user).map(|quota| quota.remaining), Ok(2));
    // The node's own decision is not counted twice. Another node's counts, unless it is older than the rate's period.
    limits.observe_decision(own, user, Duration::ZERO);
    limits.observe_decision(EventId::new(), user, Duration::from_secs(3_600));
    limits.observe_decision(EventId::new(), user, Duration::ZERO);
    assert_eq!(limits.decide(EventId::new(), user).map(|quota| quota.remaining), Ok(0));
    let refused = limits.decide(EventId::new(), user).unwrap_err();
    assert!(matches!(refused, Spent { quota: Quota { policy: "decisions", .. }, .. }), "{refused:?}");
    assert!(limits.decide(EventId::new(), UserIdx::try_from(8).unwrap()).is_ok());
    assert!(write(&limits, ask(1, VIEWER, "hi"), &settings()).is_ok());
}

#[test]
fn reads_have_their_own_rate() {
    let limits = limits();
    let user = UserIdx::try_from(VIEWER).unwrap();
    assert!(limits.read(user).is_ok() && limits.read(user).is_ok());
    let refused = limits.read(user).unwrap_err();
    assert!(matches!(refused, Spent { quota: Quota { policy: "reads", .. }, .. }), "{refused:?}");
    assert!(limits.read(UserIdx::try_from(8).unwrap()).is_ok());
    assert!(limits.decide(EventId::new(), user).is_ok());
    assert!(limits.report(EventId::new(), user).is_ok());
    assert!(write(&limits, ask(1, VIEWER, "hi"), &settings()).is_ok());
}

#[test]
fn reports_have_their_own_rate_and_each_report_counts_once() {
    let (limits, user, own) = (limits(), UserIdx::try_from(7).unwrap(), EventId::new());
    assert!(limits.report(own, user).is_ok());
    // Its own report comes back from the log, and another node's comes.
    limits.observe_report(own, user, Duration::ZERO);
    limits.observe_report(EventId::new(), user, Duration::ZERO);
    assert!(limits.report(EventId::new(), user).is_ok());
    let refused = limits.report(EventId::new(), user).unwrap_err();
    assert!(matches!(refused, Spent { quota: Quota { policy: "reports", .. }, .. }), "{refused:?}");
    assert!(limits.decide(EventId::new(), user).is_ok() && limits.read(user).is_ok());
}

#[test]
fn a_rate_out_of_bounds_is_refused_by_the_name_of_its_setting() {
    let config = |messages, seconds| LimitsConfig {
        moderator_rate: Rate { messages: 1, seconds: 1 },
        user_rate: Rate { messages, seconds },
        decision_rate: Rate { messages: 1, seconds: 1 },
        report_rate: Rate { messages: 1, seconds: 1 },
        read_rate: Rate { messages: 1, seconds: 1 },
        bans_in_room: 1,
        bans_everywhere: 1,
        moderators_in_room: 1,
        holds_in_room: 100,
    };
    assert!(Limits::new(&config(100_000, 3_600)).is_ok());
    for (messages, seconds) in [(0, 1), (1, 0), (100_001, 1), (1, 3_601)] {
        let error = Limits::new(&config(messages, seconds)).unwrap_err();
        assert!(error.contains("ingest.limits.user_rate must be"), "{error}");
    }
}

#[test]
fn changed_limits_apply_at_once() {
    let limits = limits();
    let reads = |user: i64| {
        let user = UserIdx::try_from(user).unwrap();
        (0..10).filter(|_| limits.read(user).is_ok()).count()
    };
    assert_eq!(reads(1), 2);
    let before = *limits.config.read();
    limits.set(&LimitsConfig { read_rate: Rate { messages: 4, seconds: 3_600 }, bans_in_room: 7, ..before });
    assert_eq!((reads(1), reads(2)), (4, 4), "with the full quota of the new rate");
    assert_eq!(limits.most_bans(Some(PresenterIdx::try_from(1).unwrap())), 7);
}
