//! WebVTT, subtitles that browsers and players show: <https://www.w3.org/TR/webvtt1/>. A message is a cue with its id, and
//! its author is the cue's voice.

/// How every file begins.
pub(crate) const HEAD: &str = "WEBVTT\n\n";

/// 5 s: long enough to be read, short enough that the picture is not hidden.
const SHOWN_MS: i64 = 5_000;

/// A message, so far into the recording.
pub(crate) fn cue(id: &str, offset_ms: i64, nickname: &str, text: &str) -> String {
    let (start, end) = (timestamp(offset_ms), timestamp(offset_ms + SHOWN_MS));
    // A voice is one line.
    let nickname = escaped(&nickname.split_whitespace().collect::<Vec<_>>().join(" "));
    format!("{id}\n{start} --> {end}\n<v {nickname}>{}\n\n", lines(text))
}

/// Hours have two digits or more.
fn timestamp(ms: i64) -> String {
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// An empty line would end the cue.
fn lines(text: &str) -> String {
    let lines: Vec<String> = text.split(['\n', '\r']).filter(|line| !line.is_empty()).map(escaped).collect();
    lines.join("\n")
}

/// With `>` escaped there is no arrow in it either.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_cue_that_its_text_cannot_break() {
        assert_eq!(
            cue("an-id", 3_723_250, "닉 <v> & co", "a --> b\n\n<b>1 & 2</b>\r\nWEBVTT"),
            "an-id\n01:02:03.250 --> 01:02:08.250\n<v 닉 &lt;v&gt; &amp; co>\
             a --&gt; b\n&lt;b&gt;1 &amp; 2&lt;/b&gt;\nWEBVTT\n\n"
        );
        assert_eq!(cue("i", 0, "a\nb", ""), "i\n00:00:00.000 --> 00:00:05.000\n<v a b>\n\n");
        assert_eq!(timestamp(100 * 3_600_000 - 1), "99:59:59.999");
        assert_eq!(timestamp(1_000 * 3_600_000), "1000:00:00.000");
    }
}
