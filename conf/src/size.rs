//! A size in the configuration, such as `"64 MiB"` or `"512 KiB"`. A number without a unit is refused.

use std::fmt;
use std::str::FromStr;

use bytesize::ByteSize;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A configured number of bytes, from 0 to 2^53 - 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(u64);

/// The text is not a valid size of a setting. The message does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSize {
    /// Not a number with a unit.
    #[error("must be a size with its unit, such as \"512 KiB\", \"64 MiB\" or \"16 GiB\"")]
    Format,
    /// Negative.
    #[error("must not be negative")]
    Negative,
    /// More than [`Size::LARGEST`].
    #[error("must be at most 9007199254740991 B, 2^53 - 1")]
    TooLarge,
}

impl Size {
    /// 2^53 - 1: sums and small multiples do not overflow a counter, and JSON represents it exactly.
    pub const LARGEST: Size = Size((1 << 53) - 1);

    /// A size in bytes.
    pub const fn from_bytes(bytes: u64) -> Size {
        Size(bytes)
    }

    /// A size in units of 1,024 bytes.
    pub const fn from_kib(kib: u64) -> Size {
        Size(kib << 10)
    }

    /// A size in units of 1,048,576 bytes.
    pub const fn from_mib(mib: u64) -> Size {
        Size(mib << 20)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as `usize`, for buffers.
    pub fn in_memory(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Size {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Size, InvalidSize> {
        let text = text.trim();
        if text.starts_with('-') {
            return Err(InvalidSize::Negative);
        }
        let unit = text.trim_start_matches(|char: char| char.is_ascii_digit() || ". _".contains(char));
        if !text.starts_with(|char: char| char.is_ascii_digit()) || unit.is_empty() {
            return Err(InvalidSize::Format);
        }
        // Bytes are parsed exactly; the library uses floating point.
        let number = text[..text.len() - unit.len()].trim_end();
        let size = match number.parse::<u64>() {
            Ok(bytes) if unit.eq_ignore_ascii_case("b") => bytes,
            _ => text.parse::<ByteSize>().map_err(|_| InvalidSize::Format)?.as_u64(),
        };
        Some(Size(size)).filter(|size| *size <= Size::LARGEST).ok_or(InvalidSize::TooLarge)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        // Exact, so that the printed text can be configured again.
        match UNITS.into_iter().find(|(unit, _)| self.0 >= *unit && self.0.is_multiple_of(*unit)) {
            Some((unit, name)) => write!(f, "{} {name}", self.0 / unit),
            None => write!(f, "{} B", self.0),
        }
    }
}

impl fmt::Debug for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size with its unit, such as \"512 KiB\", \"64 MiB\" or \"16 GiB\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_and_is_printed_as_it_is_read() {
        for (text, bytes, printed) in [
            ("0 B", 0, "0 B"),
            ("1000B", 1_000, "1000 B"),
            ("512 KiB", 524_288, "512 KiB"),
            ("64MiB", 67_108_864, "64 MiB"),
            ("16 GiB", 17_179_869_184, "16 GiB"),
            ("1.5 GiB", 1_610_612_736, "1536 MiB"),
            ("16 GB", 16_000_000_000, "15625000 KiB"),
            ("9007199254740991 B", (1 << 53) - 1, "9007199254740991 B"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, printed), "{text}");
            assert_eq!(printed.parse(), Ok(size), "{text}");
        }
    }

    #[test]
    fn an_invalid_size_is_refused() {
        for (text, expected) in [
            ("", InvalidSize::Format),
            ("1024", InvalidSize::Format),
            ("large", InvalidSize::Format),
            ("5 apples", InvalidSize::Format),
            ("-1 B", InvalidSize::Negative),
            ("9007199254740992 B", InvalidSize::TooLarge),
            ("16384 TiB", InvalidSize::TooLarge),
        ] {
            assert_eq!(text.parse::<Size>(), Err(expected), "{text}");
        }
        let number = serde_json::from_str::<Size>("1024").unwrap_err().to_string();
        assert!(number.contains("expected a size with its unit, such as \"512 KiB\""), "{number}");
    }
}
