//! Secrets in files: `auth.secret_file = "/run/credentials/…"` sets `auth.secret` to the content of that file. A file
//! is read whenever the configuration is: at the start, and after SIGHUP.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;

/// Every setting that may hold a secret. `nats.credentials` is a path already.
const SECRETS: [&str; 13] = [
    "archiver.uri",
    "auth.jwks.url",
    "auth.previous_secret",
    "auth.secret",
    "ingest.gateway.secret",
    "ingest.reconnect_webhook",
    "ingest.review.secret",
    "ingest.review.url",
    "ingest.rooms.url",
    "nats.nkey",
    "nats.urls",
    "otlp.headers",
    "otlp.url",
];

/// The end of a key whose value is the path of a file.
pub(super) const ENDING: &str = "_file";

/// 64 KiB: more than any secret, and little enough to read by mistake.
const LARGEST_BYTES: u64 = 64 * 1024;

/// A secret that was read.
#[derive(Debug)]
pub(super) struct FromFile {
    pub(super) text: String,
    /// Whether every user of the machine can read it.
    pub(super) is_public: bool,
}

/// The last key of the setting that a path with `_file` at its end is for: `secret` for `auth.secret_file`. None: it is
/// another key.
pub(super) fn setting<T: AsRef<str>>(path: &[T]) -> Option<String> {
    let (last, sections) = path.split_last()?;
    let last = last.as_ref().strip_suffix(ENDING)?;
    let mut keys: Vec<&str> = sections.iter().map(AsRef::as_ref).collect();
    keys.push(last);
    SECRETS.contains(&keys.join(".").as_str()).then(|| last.to_owned())
}

/// The content of the file without the line break at its end. Err: why there is none, to follow the key.
pub(super) fn read(file: &str) -> Result<FromFile, String> {
    let failed = |error: std::io::Error| format!("cannot read {file}: {error}");
    let opened = File::open(file).map_err(failed)?;
    let is_public = opened.metadata().map_err(failed)?.permissions().mode() & 0o004 != 0;
    let mut bytes = Vec::new();
    opened.take(LARGEST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST_BYTES {
        return Err(format!("{file} has more than {LARGEST_BYTES} bytes: name the file with the secret alone"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{file} is not UTF-8"))?;
    let text = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).unwrap_or(&text);
    if text.is_empty() {
        return Err(format!("{file} is empty: write the secret into it"));
    }
    Ok(FromFile { text: text.to_owned(), is_public })
}

/// The place of the setting, for messages.
pub(super) fn place(file: &str, place: &str) -> String {
    format!("{file}, from {place}")
}

/// The warning about a file that every user of the machine can read. `key` is the one that names it.
pub(super) fn warning(key: &str, file: &str, place: &str) -> String {
    format!("{key} ({place}): every user of this machine can read {file}: run `chmod o= {file}`")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(content: &[u8], mode: u32) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    fn read(content: &[u8], mode: u32) -> Result<(String, bool), String> {
        let file = file(content, mode);
        super::read(file.path().to_str().unwrap()).map(|FromFile { text, is_public }| (text, is_public))
    }

    #[test]
    fn one_line_break_at_the_end_is_no_part_of_the_secret() {
        for (content, text) in [("a b", "a b"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a ")] {
            assert_eq!(read(content.as_bytes(), 0o600), Ok((text.to_owned(), false)), "{content:?}");
        }
        assert_eq!(read(b"a", 0o640), Ok(("a".to_owned(), false)));
        assert_eq!(read(b"a", 0o604), Ok(("a".to_owned(), true)));
    }

    #[test]
    fn a_file_without_a_secret_is_refused_with_the_reason() {
        for (content, reason) in [
            (b"".to_vec(), "is empty"),
            (b"\n".to_vec(), "is empty"),
            (vec![0xff], "is not UTF-8"),
            (vec![b'a'; 64 * 1024 + 1], "more than 65536 bytes"),
        ] {
            assert!(read(&content, 0o600).unwrap_err().contains(reason), "{reason}");
        }
        assert!(super::read("/no/such/file").unwrap_err().starts_with("cannot read /no/such/file: "));
        assert!(super::read("/").unwrap_err().starts_with("cannot read /: "));
    }

    #[test]
    fn only_a_setting_that_may_hold_a_secret_can_be_in_a_file() {
        assert_eq!(setting(&["auth", "secret_file"]).as_deref(), Some("secret"));
        assert_eq!(setting(&["auth", "jwks", "url_file"]).as_deref(), Some("url"));
        for path in [["nats", "lease_file"].as_slice(), &["auth", "secret"], &["secret_file"], &["_file"], &[]] {
            assert_eq!(setting(path), None, "{path:?}");
        }
    }
}
