//! Versions of NATS and MongoDB, compared by number.

/// The numbers of a version. What follows them, such as `-RC.1`, does not count.
pub(super) fn numbers(version: &str) -> Vec<u64> {
    version.split(['.', '-']).map_while(|part| part.parse().ok()).take(3).collect()
}

/// Whether the version is that one or later.
pub(super) fn is_at_least(version: &str, least: [u64; 3]) -> bool {
    numbers(version).as_slice() >= least.as_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for (version, is_enough) in
            [("2.15.1", true), ("2.16.0-RC.1", true), ("3.0.0", true), ("2.9.25", false), ("", false), ("2.15", false)]
        {
            assert_eq!(is_at_least(version, [2, 15, 1]), is_enough, "{version}");
        }
    }
}
