//! Where a search goes on, in both directions, and which grams it looks up.

use super::*;

fn at(sequence: i64) -> PositionDocument {
    PositionDocument { epoch: 1, sequence, index: 0 }
}

/// An index with these parts, each after the one position and up to the other.
fn index(parts: &[(Option<i64>, i64)], order: Order, lower: Option<i64>, upper: Option<i64>) -> TextIndex {
    let part = |(from, last): &(Option<i64>, i64)| Part {
        from: from.map(at),
        last: at(*last),
        token: last.to_string(),
        messages: 10,
        buckets: 1,
    };
    let bounds = Bounds { lower: lower.map(at), upper: upper.map(at) };
    TextIndex { parts: parts.iter().map(part).collect(), wanted: Vec::new(), bounds, order, at_once: 9 }
}

/// The ends of the next parts, or where to read up to.
fn located(index: &TextIndex, after: Option<i64>) -> Result<Vec<i64>, Option<i64>> {
    let located = index.locate(after.map(at));
    let ends = |run: Vec<Part>| run.into_iter().map(|part| part.last.sequence).collect();
    located.map(ends).map_err(|end| end.map(|end| end.sequence))
}

/// Up to 10 and 20, a hole, then up to 40.
const PARTS: [(Option<i64>, i64); 3] = [(None, 10), (Some(10), 20), (Some(30), 40)];

#[test]
fn forwards_a_run_of_parts_is_looked_up_and_the_messages_between_are_read() {
    let all = index(&PARTS, Order::Asc, None, None);
    for (after, expected) in [
        (None, Ok(vec![10, 20])),
        (Some(5), Ok(vec![10, 20])),
        (Some(10), Ok(vec![20])),
        (Some(20), Err(Some(30))),
        (Some(25), Err(Some(30))),
        (Some(30), Ok(vec![40])),
        (Some(40), Err(None)),
    ] {
        assert_eq!(located(&all, after), expected, "{after:?}");
    }
    for (lower, expected) in
        [(10, Ok(vec![10, 20])), (11, Ok(vec![20])), (21, Err(Some(30))), (30, Err(Some(30))), (31, Ok(vec![40]))]
    {
        let index = index(&PARTS, Order::Asc, Some(lower), None);
        assert_eq!(located(&index, None), expected, "from {lower} on");
    }
    // A room whose first messages have no part.
    assert_eq!(located(&index(&PARTS[1..], Order::Asc, None, None), None), Err(Some(10)));
}

#[test]
fn backwards_a_run_of_parts_is_looked_up_and_the_messages_between_are_read() {
    let all = index(&PARTS, Order::Desc, None, None);
    for (after, expected) in [
        (None, Err(Some(40))),
        (Some(45), Err(Some(40))),
        (Some(40), Ok(vec![40])),
        (Some(31), Ok(vec![40])),
        (Some(30), Err(Some(20))),
        (Some(20), Ok(vec![20, 10])),
        (Some(10), Ok(vec![10])),
    ] {
        assert_eq!(located(&all, after), expected, "{after:?}");
    }
    let until = index(&PARTS, Order::Desc, None, Some(15));
    assert_eq!(located(&until, None), Ok(vec![20, 10]));
    assert_eq!(located(&index(&PARTS[1..], Order::Desc, None, None), Some(10)), Err(None));
}

#[test]
fn after_the_first_parts_only_the_rarest_grams_are_looked_up() {
    let mut index = index(&PARTS, Order::Asc, None, None);
    let wanted = |text: &str| Wanted::of(text)[0];
    let grams = ["abc", "def", "ghi", "jkl", "mno"].map(wanted);
    index.wanted = grams.to_vec();
    index.narrow(&[9, 1, 7, 0, 8]);
    assert_eq!(index.wanted, [grams[3], grams[1], grams[2]]);
}
