//! That an export misses something: what left the log before it was archived. Nobody may take such a file for whole, so
//! it says so in its name and in a header, and where its format has a place for it, in itself.

use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Reader;
use super::time_format::time;
use crate::mongo::database::Failure;
use crate::write::gaps;
use crate::write::gaps::Gap;

/// A list of RFC 9651: how many batches, stored after and before which time.
const GAPS: HeaderName = HeaderName::from_static("archive-gaps");

/// What may be missing in an export. Empty: nothing.
#[derive(Debug)]
pub(super) struct Incomplete(Vec<Gap>);

/// A line of NDJSON that is no message.
#[derive(Serialize)]
struct Line<'a> {
    gap: GapBody<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GapBody<'a> {
    stream: &'a str,
    batches: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    noticed_at: String,
}

impl Incomplete {
    /// Of a room, or of all; in a time of milliseconds since 1970, the end excluded.
    pub(super) async fn of(
        reader: &Reader,
        room: Option<chat::PresenterIdx>,
        from: Option<i64>,
        to: Option<i64>,
    ) -> Result<Incomplete, Failure> {
        let stream = room.map(|room| reader.log.stream_of(room));
        Ok(Incomplete(gaps::within(&reader.database, stream.as_deref(), from, to).await?))
    }

    /// The name that a file is saved under, without its extension.
    pub(super) fn name(&self, name: &str) -> String {
        if self.0.is_empty() { name.to_owned() } else { format!("{name}.incomplete") }
    }

    /// The answer, with the header.
    pub(super) fn mark(&self, response: Response) -> Response {
        let members: Vec<String> = self.0.iter().map(member).collect();
        match HeaderValue::try_from(members.join(", ")) {
            Ok(value) if !members.is_empty() => ([(GAPS, value)], response).into_response(),
            _ => response,
        }
    }

    /// The lines that begin a file of NDJSON.
    pub(super) fn ndjson(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        for gap in &self.0 {
            let (after, before) = (gap.after.map(time), gap.before.map(time));
            let gap =
                GapBody { stream: &gap.stream, batches: gap.batches, after, before, noticed_at: time(gap.noticed_at) };
            serde_json::to_writer(&mut lines, &Line { gap }).expect("a gap is written to memory");
            lines.push(b'\n');
        }
        lines
    }

    /// The comments that begin a file of WebVTT.
    pub(super) fn webvtt(&self) -> Vec<u8> {
        let note = |gap: &Gap| format!("NOTE This file is incomplete: archive-gaps: {}\n\n", member(gap));
        self.0.iter().map(note).collect::<String>().into_bytes()
    }
}

fn member(gap: &Gap) -> String {
    let bounds = [("after", gap.after), ("before", gap.before)];
    let bounds = bounds.into_iter().filter_map(|(name, at)| Some(format!(";{name}=\"{}\"", time(at?))));
    format!("{}{}", gap.batches, bounds.collect::<String>())
}

#[cfg(test)]
mod tests {
    use mongodb::bson::DateTime;
    use sfv::{BareItem, List, ListEntry, Parser};

    use super::*;

    #[test]
    fn the_header_is_a_list_of_rfc_9651() {
        let at = |ms| Some(DateTime::from_millis(ms));
        let gap = |batches, after, before| {
            let (id, stream, noticed_at) = ("a".to_owned(), "CHAT_0".to_owned(), DateTime::from_millis(0));
            Gap { id, stream, epoch: 1, first: 1, last: batches, batches, after, before, noticed_at }
        };
        let gaps = vec![gap(20, at(1_772_377_200_000), at(1_772_377_500_000)), gap(1, None, None)];
        let response = Incomplete(gaps).mark(().into_response());
        let header = &response.headers()[GAPS];
        let list: List = Parser::new(header.as_bytes()).parse().unwrap();
        let read = |entry: &ListEntry| {
            let ListEntry::Item(item) = entry else { panic!("no item: {entry:?}") };
            let text = |name: &str| item.params.get(name).and_then(BareItem::as_string).map(ToString::to_string);
            (item.bare_item.as_integer().map(i64::from), text("after"), text("before"))
        };
        let time = |time: &str| Some(time.to_owned());
        assert_eq!(
            list.iter().map(read).collect::<Vec<_>>(),
            [(Some(20), time("2026-03-01T15:00:00.000Z"), time("2026-03-01T15:05:00.000Z")), (Some(1), None, None)]
        );
    }
}
