//! What is exported for players, opened by one: a video element in Chromium.

use nats::Body;
use serde::Deserialize;
use serde_json::json;

use super::World;
use super::broadcast::Session;
use super::broadcast_exports::export;
use super::reading::{Reader, archive, said};
use crate::browser::chromium::Chromium;

/// A cue as the browser understood it.
#[derive(Debug, PartialEq, Deserialize)]
struct Cue {
    id: String,
    start: f64,
    end: f64,
    voice: String,
    text: String,
}

/// Gives a video these subtitles, and tells of its cues.
const CUES: &str = "async file => {
    const track = document.createElement('track');
    track.kind = 'subtitles';
    track.src = URL.createObjectURL(new Blob([file], { type: 'text/vtt' }));
    document.body.appendChild(document.createElement('video')).appendChild(track);
    track.track.mode = 'hidden';
    await new Promise((loaded, failed) => { track.onload = loaded; track.onerror = failed; });
    return Array.from(track.track.cues, cue => {
        const html = cue.getCueAsHTML();
        const voice = html.querySelector('span')?.title ?? '';
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
    if let Body::MessagePosted(posted) = &mut said[0].body {
        posted.user.nickname = "somebody--".to_owned();
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
        voice: if number == 0 { "somebody--" } else { "사용자7" }.to_owned(),
        text: texts[number].to_owned(),
    });
    assert_eq!(cues, expected.collect::<Vec<_>>());
}
