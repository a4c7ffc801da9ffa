//! The part of HTTP and WebSocket that the generator needs. A library would cost more than the measured servers may.

use anyhow::{Context as _, ensure};

/// The status and the length of the first answer in these bytes. None: it is not complete.
pub(crate) fn answer(bytes: &[u8]) -> anyhow::Result<Option<(u16, usize)>> {
    let Some(head) = memchr::memmem::find(bytes, b"\r\n\r\n").map(|end| end + 4) else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..head])?;
    let status = text.get(9..12).context("an answer without a status")?.parse()?;
    let mut body = 0;
    for line in text.lines() {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            body = value.trim().parse()?;
        }
        ensure!(!line.to_ascii_lowercase().starts_with("transfer-encoding"), "an answer in chunks");
    }
    Ok((bytes.len() >= head + body).then_some((status, head + body)))
}

/// The opcode, payload and length of the first frame of a server. None: it is not complete.
pub(crate) fn frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (length, head) = match second & 0x7f {
        126 => (u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into(), 4),
        127 => (usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?, 10),
        short => (short.into(), 2),
    };
    let payload = bytes.get(head..head + length)?;
    Some((first & 0x0f, payload, head + length))
}

/// A client's text frame. The mask is zero, which leaves the payload unchanged.
pub(crate) fn text_frame(payload: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match payload.len() {
        length @ ..126 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload.as_bytes());
    frame
}

/// The request that opens a WebSocket.
pub(crate) fn handshake(path: &str, protocol: Option<&str>) -> String {
    let protocol = protocol.map(|name| format!("sec-websocket-protocol: {name}\r\n")).unwrap_or_default();
    format!(
        "GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocol}\r\n"
    )
}

/// Identifies a message in its text: its poster, its number and when it was due, in digits of a fixed width. A request
/// is built once, and only these digits change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tag {
    /// A socket may first receive messages of an earlier run.
    pub(crate) run: u64,
    pub(crate) poster: u64,
    pub(crate) number: u64,
    /// Nanoseconds since the start of the run.
    pub(crate) due: u64,
}

/// `~run.poster.number.due~`.
const DIGITS: [usize; 4] = [4, 5, 8, 14];

impl Tag {
    pub(crate) const BYTES: usize = 36;

    /// The first tag in these bytes, and its end.
    pub(crate) fn find(bytes: &[u8]) -> Option<(Tag, usize)> {
        memchr::memchr_iter(b'~', bytes)
            .find_map(|start| Some((Tag::read(bytes.get(start..start + Tag::BYTES)?)?, start + Tag::BYTES)))
    }

    fn read(bytes: &[u8]) -> Option<Tag> {
        let mut values = [0; 4];
        let mut at = 1;
        for (value, digits) in values.iter_mut().zip(DIGITS) {
            for byte in &bytes[at..at + digits] {
                *value = *value * 10 + u64::from(byte.is_ascii_digit().then(|| byte - b'0')?);
            }
            at += digits + 1;
        }
        let [run, poster, number, due] = values;
        (bytes[Tag::BYTES - 1] == b'~').then_some(Tag { run, poster, number, due })
    }

    /// As text.
    pub(crate) fn text(self) -> String {
        format!("~{:04}.{:05}.{:08}.{:014}~", self.run, self.poster, self.number, self.due)
    }

    /// Writes it over the tag that begins at this place.
    pub(crate) fn write(self, request: &mut [u8], at: usize) {
        request[at..at + Tag::BYTES].copy_from_slice(self.text().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_among_other_characters() {
        let tag = Tag { run: 3, poster: 17, number: 4, due: 1_234_567_890 };
        let text = format!("{{\"message\":\"~~ 12 {} ~\"}}", tag.text());
        let (found, end) = Tag::find(text.as_bytes()).unwrap();
        assert_eq!(found, tag);
        assert_eq!(Tag::find(&text.as_bytes()[end..]), None);
    }

    #[test]
    fn answers_and_frames_are_parsed_only_when_complete() {
        let bytes = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}HTTP";
        assert_eq!(answer(bytes).unwrap(), Some((202, 46)));
        assert_eq!(answer(&bytes[..45]).unwrap(), None);
        let mut bytes = vec![0x81, 126, 0, 200];
        bytes.extend([b'x'; 200]);
        assert_eq!(frame(&bytes), Some((1, &[b'x'; 200][..], 204)));
        assert_eq!(frame(&bytes[..203]), None);
    }
}
