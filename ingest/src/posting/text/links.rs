//! Links in a text, for rooms that accept them from trusted users only.

use linkify::{Link, LinkFinder, LinkKind};
use unicode_normalization::UnicodeNormalization as _;
use words::is_invisible;

/// Whether the text has the address of a mailbox, a URL with a scheme, or a host without one, in a top-level domain
/// that exists. Full-width letters, dots of other scripts and invisible characters do not hide it. An address that is
/// spelled out, such as "example dot com", is for the word filter.
pub(super) fn has_any(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| !is_invisible(*c)).nfkc().map(dotted).collect();
    let mut finder = LinkFinder::new();
    finder.url_must_have_scheme(false);
    finder.links(&plain).any(|link| is_link(&link))
}

/// With the full stop in place of the ideographic one, as browsers read a host.
fn dotted(c: char) -> char {
    if matches!(c, '。' | '｡') { '.' } else { c }
}

fn is_link(link: &Link<'_>) -> bool {
    if *link.kind() == LinkKind::Email || link.as_str().contains("://") {
        return true;
    }
    let host = link.as_str().split(['/', '?', '#', ':']).next().unwrap_or_default();
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    tld::exist(&last.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_links_however_they_are_written() {
        for text in [
            "https://example.com/a?b=c",
            "보세요 http://127.0.0.1:8080 여기",
            "example.com",
            "www.example.co.kr/방송",
            "EXAMPLE.COM",
            "여기 example.org.",
            "(example.net)",
            "somebody@example.com",
            "ｅｘａｍｐｌｅ．ｃｏｍ",
            "example。com",
            "exam\u{200B}ple.com",
            "discord.gg/abc",
            "ftp://files.example.com",
        ] {
            assert!(has_any(text), "{text}");
        }
    }

    #[test]
    fn what_people_write_with_dots_is_none() {
        for text in [
            "안녕하세요",
            "ㅋㅋ.ㅋㅋ",
            "그래...요",
            "3.14",
            "1.2.3.4",
            "e.g.",
            "잘 가요.내일 봐요",
            "node.js",
            "a/b",
            "12:30",
            "@somebody",
            "...",
            "좋아요.진짜",
        ] {
            assert!(!has_any(text), "{text}");
        }
    }
}
