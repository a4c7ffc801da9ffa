//! The partition of a room. Only this crate knows that there are partitions.

use chat::PresenterIdx;

/// FNV-1a (32 bit) of the decimal presenterIdx, modulo the number of partitions. It is part of the format: another
/// function would tear rooms apart.
pub(crate) fn partition_of(presenter: PresenterIdx, partitions: u32) -> u32 {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(presenter.get());
    let hash = digits.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash % partitions
}

/// The stream of a partition.
pub(crate) fn stream(partition: u32) -> String {
    format!("CHAT_{partition}")
}

/// The subject of a partition.
pub(crate) fn subject(partition: u32) -> String {
    format!("chat.{partition}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_of_a_room_is_pinned() {
        let partition =
            |presenter: i64, partitions| partition_of(PresenterIdx::try_from(presenter).unwrap(), partitions);
        assert_eq!([1, 2, 3, 42, 1_000_000].map(|presenter| partition(presenter, 16)), [12, 5, 2, 3, 12]);
        assert!((1..1000).all(|presenter| partition(presenter, 1) == 0));
    }

    #[test]
    fn rooms_spread_over_the_partitions() {
        let mut rooms = [0; 8];
        for presenter in 1..=8_000 {
            rooms[partition_of(PresenterIdx::try_from(presenter).unwrap(), 8) as usize] += 1;
        }
        assert!(rooms.iter().all(|count| (900..1_100).contains(count)), "{rooms:?}");
    }
}
