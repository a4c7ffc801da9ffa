//! Positions of events in the log. They order the events of a room totally, and that order is the room's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A position in the log. Clients get it as an opaque string (`1879f0c3a1b2c3d4-1f-3`) and return it unchanged.
///
/// Positions of different rooms must not be compared: rooms may be in different partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Position {
    /// When the partition was created, in nanoseconds since 1970. A log that was recreated, or that lost its end, has a
    /// later epoch.
    pub epoch: u64,
    /// The batch, from 1.
    pub sequence: u64,
    /// The event within its batch, from 0.
    pub index: u32,
}

/// The digits of an epoch, a sequence and an index, and two hyphens.
const LONGEST: usize = 16 + 16 + 8 + 2;

/// A string that is not a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a position of this log")]
pub struct InvalidPosition;

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By hand, as every frame has a position: the formatter takes several times as long.
        let (mut text, mut start) = ([b'-'; LONGEST], LONGEST);
        for (place, mut number) in [u64::from(self.index), self.sequence, self.epoch].into_iter().enumerate() {
            // The hyphen is there already.
            start -= usize::from(place > 0);
            loop {
                start -= 1;
                text[start] = b"0123456789abcdef"[(number & 0xf) as usize];
                number >>= 4;
                if number == 0 {
                    break;
                }
            }
        }
        f.write_str(str::from_utf8(&text[start..]).expect("digits and hyphens are ASCII"))
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let mut parts = text.split('-');
        let mut next = || parts.next().filter(|part| !part.starts_with('+')).ok_or(InvalidPosition);
        let (epoch, sequence, index) = (next()?, next()?, next()?);
        let position = Position {
            epoch: u64::from_str_radix(epoch, 16).map_err(|_| InvalidPosition)?,
            sequence: u64::from_str_radix(sequence, 16).map_err(|_| InvalidPosition)?,
            index: u32::from_str_radix(index, 16).map_err(|_| InvalidPosition)?,
        };
        if parts.next().is_some() { Err(InvalidPosition) } else { Ok(position) }
    }
}

impl TryFrom<String> for Position {
    type Error = InvalidPosition;

    fn try_from(text: String) -> Result<Self, InvalidPosition> {
        text.parse()
    }
}

impl From<Position> for String {
    fn from(position: Position) -> String {
        position.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_text() {
        for position in [
            Position { epoch: 0, sequence: 1, index: 0 },
            Position { epoch: 0x1879_f0c3_a1b2_c3d4, sequence: 31, index: 3 },
            Position { epoch: u64::MAX, sequence: u64::MAX, index: u32::MAX },
        ] {
            let Position { epoch, sequence, index } = position;
            assert_eq!(position.to_string(), format!("{epoch:x}-{sequence:x}-{index:x}"));
            assert_eq!(position.to_string().parse(), Ok(position));
        }
    }

    #[test]
    fn a_malformed_position_is_refused() {
        for text in ["", "1", "1-2", "1-2-3-4", "1-2-x", "-1-2", "1--2", "+1-2-3", "1-2-100000000", "1-2-3 "] {
            assert_eq!(text.parse::<Position>(), Err(InvalidPosition), "{text:?}");
        }
    }

    #[test]
    fn positions_are_ordered_by_epoch_then_batch_then_place() {
        let mut positions: Vec<Position> =
            ["2-1-0", "1-a-0", "1-2-1", "1-2-0"].map(|text| text.parse().unwrap()).to_vec();
        positions.sort();
        let texts: Vec<String> = positions.iter().map(Position::to_string).collect();
        assert_eq!(texts, ["1-2-0", "1-2-1", "1-a-0", "2-1-0"]);
    }
}
