//! Exported subtitles, opened by a video element in Chromium.

use chat::Body;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde::Deserialize;
use serde_json::json;

use super::World;
use super::broadcast::Session;
use super::broadcast_exports::export;
use super::reading::{Reader, archive, archive_many, said};
use crate::browser::chromium::Chromium;

/// A cue as the browser parsed it.
#[derive(Debug, PartialEq, Deserialize)]
struct Cue {
    id: String,
    start: f64,
    end: f64,
    voice: String,
    text: String,
}

/// Gives a video these subtitles, and returns its cues.
const CUES: &str = "async file => {
    const track = document.createElement('track');
    track.kind = 'subtitles';
    track.src = URL.createObjectURL(new Blob([file], { type: 'text/vtt' }));
    document.body.appendChild(document.createElement('video')).appendChild(track);
    track.track.mode = 'hidden';
    await new Promise((loaded, failed) => { track.onload = loaded; track.onerror = failed; });
    return Array.from(track.track.cues, cue => {
        const html = cue.getCueAsHTML();
        // Chromium keeps a trailing blank that the specification drops.
        const voice = (html.querySelector('span')?.title ?? '').replace(/ $/, '');
        return { id: cue.id, start: cue.startTime, end: cue.endTime, voice, text: html.textContent };
    });
}";

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_the_subtitles_as_they_were_written() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let session = Session::new(0, 7_200_000);
    let texts = [
        "안녕하세요 👋🏽",
        "<b>bold</b> & <script>alert(1)</script> &amp; &lt;",
        "00:00:01.000 --> 00:00:02.000",
        "NOTE this is none",
        "two\nlines",
        "WEBVTT",
        "->->-->",
    ];
    let mut said: Vec<_> =
        (0..).zip(texts).map(|(number, text)| said(42, 7, number * 1_000_000 + 1_250, text)).collect();
    let nicknames = ["somebody--", "a <b> & c"];
    for (event, nickname) in said.iter_mut().zip(nicknames) {
        if let Body::MessagePosted(posted) = &mut event.body {
            posted.user.nickname = nickname.to_owned();
        }
    }
    archive(&world, &[session.begins(42)]).await;
    archive(&world, &said).await;
    archive(&world, &[session.ends(42, "closed")]).await;

    let path = format!("/v1/rooms/42/broadcasts/{}", session.id);
    let file = export(&Reader::analyst(&archiver), &path, "webvtt", "segments").await;
    let chromium = Chromium::start().await;
    let page = chromium.open("about:blank").await;
    let cues = page.evaluate(&format!("({CUES})({})", json!(file))).await;
    let cues: Vec<Cue> = serde_json::from_value(cues).unwrap();
    let expected = said.iter().enumerate().map(|(number, event)| Cue {
        id: event.id.to_string(),
        start: number as f64 * 1_000.0 + 1.25,
        end: number as f64 * 1_000.0 + 6.25,
        voice: nicknames.get(number).copied().unwrap_or("사용자7").to_owned(),
        text: texts[number].to_owned(),
    });
    assert_eq!(cues, expected.collect::<Vec<_>>());
}

/// Any text, with more of what is special in the format. Trimmed, as accepted texts are.
fn anything() -> impl Strategy<Value = String> {
    let meaningful = [
        "-",
        "--",
        ">",
        "<",
        "&",
        ";",
        ".",
        "\n",
        " ",
        "-->",
        "<v a>",
        "</v>",
        "&gt",
        "&amp;",
        "&#45;",
        "NOTE",
        "STYLE",
        "WEBVTT",
        "00:00.000 --> 00:01.000",
        "\u{2028}",
        "\u{85}",
        "\u{feff}",
        "\\",
        "<00:01.000>",
        "{",
        "안녕",
        "👋🏽",
    ];
    let piece = prop_oneof![
        3 => prop::sample::select(meaningful.to_vec()).prop_map(str::to_owned),
        1 => any::<char>().prop_filter("not a control character", |c| !c.is_control()).prop_map(String::from),
    ];
    prop::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat().trim().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_finds_every_message_in_the_subtitles() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let session = Session::new(0, 7_200_000);
    let mut runner = TestRunner::deterministic();
    let mut draw = || anything().new_tree(&mut runner).unwrap().current();
    let mut events = Vec::new();
    let mut expected = Vec::new();
    for number in 0..300 {
        let (nickname, text) = (draw(), draw());
        // All within seconds, because their order in the log is not determined.
        let mut event = said(42, 7, number * 10, &text);
        if let Body::MessagePosted(posted) = &mut event.body {
            posted.user.nickname = nickname.clone();
        }
        let voice = nickname.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<&str> = text.split('\n').filter(|line| !line.is_empty()).collect();
        expected.push((event.id.to_string(), voice, lines.join("\n")));
        events.push(event);
    }
    archive(&world, &[session.begins(42)]).await;
    archive_many(&world, events).await;
    archive(&world, &[session.ends(42, "closed")]).await;

    let path = format!("/v1/rooms/42/broadcasts/{}", session.id);
    let file = export(&Reader::analyst(&archiver), &path, "webvtt", "segments").await;
    assert!(expected.iter().all(|(id, _, _)| file.contains(id.as_str())), "the file has not all of them");
    let chromium = Chromium::start().await;
    let page = chromium.open("about:blank").await;
    let cues = page.evaluate(&format!("({CUES})({})", json!(file))).await;
    let cues: Vec<Cue> = serde_json::from_value(cues).unwrap();
    for (id, voice, text) in expected {
        let cue = cues.iter().find(|cue| cue.id == id);
        let cue = cue.unwrap_or_else(|| panic!("no cue of {voice:?}, {text:?}"));
        assert_eq!((&cue.voice, &cue.text), (&voice, &text));
    }
}
