//! Marks exports that have gaps: batches that left the log before they were archived. The file's name and a header say
//! so, and so does the file itself where its format permits.

use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::state::AppState;
use super::time_format::time;
use crate::mongo::documents::GapDocument;
use crate::mongo::failure::Failure;
use crate::query::gaps;

/// An RFC 9651 list: how many batches are missing, and between which times they were stored.
const GAPS: HeaderName = HeaderName::from_static("archive-gaps");

/// The gaps of an export. Empty: it is complete.
#[derive(Debug)]
pub(super) struct Incomplete(Vec<GapDocument>);

/// A line of NDJSON that stands for a gap.
#[derive(Serialize)]
struct GapLine<'a> {
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
    /// The gaps of a room, or of all rooms, in a span of milliseconds since 1970. The end is excluded.
    pub(super) async fn of(
        app: &AppState,
        room: Option<chat::PresenterIdx>,
        from: Option<i64>,
        to: Option<i64>,
    ) -> Result<Incomplete, Failure> {
        let stream = room.map(|room| app.log.stream_of(room));
        Ok(Incomplete(gaps::within(&app.database, stream.as_deref(), from, to).await?))
    }

    /// The file's name, without its extension.
    pub(super) fn name(&self, name: &str) -> String {
        if self.0.is_empty() { name.to_owned() } else { format!("{name}.incomplete") }
    }

    /// Adds the header to the answer.
    pub(super) fn mark(&self, response: Response) -> Response {
        let members: Vec<String> = self.0.iter().map(member).collect();
        match HeaderValue::try_from(members.join(", ")) {
            Ok(value) if !members.is_empty() => ([(GAPS, value)], response).into_response(),
            _ => response,
        }
    }

    /// The first lines of an NDJSON file.
    pub(super) fn ndjson(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        for gap in &self.0 {
            let (after, before) = (gap.after.map(time), gap.before.map(time));
            let gap =
                GapBody { stream: &gap.stream, batches: gap.batches, after, before, noticed_at: time(gap.noticed_at) };
            serde_json::to_writer(&mut lines, &GapLine { gap }).expect("a gap is written to memory");
            lines.push(b'\n');
        }
        lines
    }

    /// The comments at the start of a WebVTT file.
    pub(super) fn webvtt(&self) -> Vec<u8> {
        let note = |gap: &GapDocument| format!("NOTE This file is incomplete: archive-gaps: {}\n\n", member(gap));
        self.0.iter().map(note).collect::<String>().into_bytes()
    }
}

fn member(gap: &GapDocument) -> String {
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
            GapDocument { id, stream, epoch: 1, first: 1, last: batches, batches, after, before, noticed_at }
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
