//! WebVTT, subtitles for browsers and players: <https://www.w3.org/TR/webvtt1/>. A message is a cue with the message's
//! id. The author is the cue's voice.

/// The start of every file.
pub(crate) const HEAD: &str = "WEBVTT\n\n";

/// 5 s: long enough to read, short enough not to hide the picture.
const SHOWN_MS: i64 = 5_000;

/// The cue of a message at that offset in the recording.
pub(crate) fn cue(id: &str, offset_ms: i64, nickname: &str, text: &str) -> String {
    let (start, end) = (timestamp(offset_ms), timestamp(offset_ms + SHOWN_MS));
    format!("{id}\n{start} --> {end}\n<v {}>{}\n\n", voice(nickname), lines(text))
}

/// A voice is one line, in which readers collapse spaces.
fn voice(nickname: &str) -> String {
    let mut voice = escaped(&nickname.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
    // With the `>` that ends the tag it would be an arrow, which ends the cue. The space is not shown.
    if voice.ends_with("--") {
        voice.push(' ');
    }
    voice
}

/// Hours have at least two digits.
fn timestamp(ms: i64) -> String {
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// The text without empty lines: one would end the cue.
fn lines(text: &str) -> String {
    let lines: Vec<String> = text.split(['\n', '\r']).filter(|line| !line.is_empty()).map(escaped).collect();
    lines.join("\n")
}

/// With `>` escaped, the text has no arrow.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use fasrt::vtt::cue::{CueText, Node, Tag};
    use fasrt::vtt::{Block, Parser};
    use proptest::prelude::*;

    use super::*;

    /// The id, the voice and the text of each cue, as a parser reads them.
    fn read(file: &str) -> Vec<(String, String, String)> {
        let cues = Parser::new(file).map(|block| match block.expect("the file is WebVTT") {
            Block::Cue(cue) => {
                let id = cue.header_ref().identifier().map(|id| id.as_str().to_owned()).unwrap_or_default();
                let parsed = CueText::parse(cue.body());
                let [Node::Tag(voice)] = parsed.children_slice() else { panic!("no single voice: {parsed:?}") };
                assert_eq!(voice.tag(), Tag::Voice);
                let name = voice.annotation().map(|name| name.normalize().to_owned()).unwrap_or_default();
                let texts = voice.children().iter().map(|node| match node {
                    Node::Text(text) => text.normalize().to_owned(),
                    other => panic!("a tag within a text: {other:?}"),
                });
                (id, name, texts.collect())
            }
            other => panic!("no cue: {other:?}"),
        });
        cues.collect()
    }

    /// The parts that the format keeps: no NUL, no repeated spaces in a voice, no empty lines in a text.
    fn kept(nickname: &str, text: &str) -> (String, String) {
        let [nickname, text] = [nickname, text].map(|text| text.replace('\0', "\u{fffd}"));
        let lines: Vec<&str> = text.split(['\n', '\r']).filter(|line| !line.is_empty()).collect();
        (nickname.split_ascii_whitespace().collect::<Vec<_>>().join(" "), lines.join("\n"))
    }

    /// Any text, biased to text that means something to the format.
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
            "\r",
            " ",
            "\t",
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
            "\0",
        ];
        let piece = prop_oneof![
            3 => prop::sample::select(meaningful.to_vec()).prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from),
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn a_reader_of_the_format_finds_every_message_whatever_it_says(
            messages in prop::collection::vec((anything(), anything()), 1..4),
        ) {
            let mut file = HEAD.to_owned();
            let mut expected = Vec::new();
            for (number, (nickname, text)) in messages.iter().enumerate() {
                file.push_str(&cue(&number.to_string(), number as i64 * 1_000, nickname, text));
                let (nickname, text) = kept(nickname, text);
                expected.push((number.to_string(), nickname, text));
            }
            prop_assert_eq!(read(&file), expected);
        }
    }

    #[test]
    fn a_nickname_cannot_end_its_cue() {
        for nickname in ["somebody--", "--", "-", "a-->", "--> b", "a -- "] {
            let (name, _) = kept(nickname, "");
            let file = format!("{HEAD}{}", cue("an-id", 0, nickname, "hi"));
            assert_eq!(read(&file), [("an-id".to_owned(), name, "hi".to_owned())], "{file}");
        }
    }

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
