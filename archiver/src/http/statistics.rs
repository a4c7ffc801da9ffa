//! Statistics of a room: counts a bucket of time, who and which words were there most, and what stands out.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Sight;
use super::bodies::{MessageBody, UserBody};
use super::call::Call;
use super::openapi::schemas;
use super::parameters::{Number, RoomPath};
use super::refusal::Refusal;
use super::time_format::{Moment, time};
use super::{Reader, Shared, answer};
use crate::mongo::documents::UserDocument;
use crate::query::statistics::Stretch;
use crate::query::statistics::buckets;
use crate::query::statistics::buckets::{Bucket, Counts};
use crate::query::statistics::chatters;
use crate::query::statistics::chatters::{Chatter, Known};
use crate::query::statistics::highlights;
use crate::query::statistics::highlights::Highlight;
use crate::query::statistics::words;
use crate::query::statistics::words::Word;
use crate::query::times::later;

/// 31 days: a month, whatever its length.
const LONGEST_MS: i64 = 31 * 86_400_000;

/// A megabyte of JSON.
const MOST_BUCKETS: u64 = 10_000;

pub(super) fn routes() -> OpenApiRouter<Arc<Reader>> {
    OpenApiRouter::new()
        .routes(routes!(count_room))
        .routes(routes!(top_chatters))
        .routes(routes!(top_words))
        .routes(routes!(highlights))
}

/// Which stretch of a room.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct StretchQuery {
    /// What was sent then or later.
    #[param(value_type = schemas::Time, inline)]
    from: Moment,
    /// What was sent before. At most 31 days later; not later than `from`: nothing.
    #[param(value_type = schemas::Time, inline)]
    to: Moment,
}

/// In what pieces a stretch is counted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CountQuery {
    /// How long a bucket is. There may be 10,000 in an answer.
    #[serde(default, rename = "bucketSeconds")]
    #[param(rename = "bucketSeconds", minimum = 1, maximum = 86_400, default = 60, value_type = Option<u32>, nullable = false)]
    bucket_seconds: Number<60, 86_400>,
}

/// How many chatters.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ChattersQuery {
    /// How many at most.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1_000, default = 10, value_type = Option<u32>, nullable = false)]
    first: Number<10, 1_000>,
}

/// How many words.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct WordsQuery {
    /// How many at most.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1_000, default = 50, value_type = Option<u32>, nullable = false)]
    first: Number<50, 1_000>,
}

/// How many highlights, of what size.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct HighlightsQuery {
    /// How long the buckets are that are compared. There may be 10,000 in a stretch.
    #[serde(default, rename = "bucketSeconds")]
    #[param(rename = "bucketSeconds", minimum = 1, maximum = 60, default = 10, value_type = Option<u32>, nullable = false)]
    bucket_seconds: Number<10, 60>,
    /// How many at most.
    #[serde(default)]
    #[param(minimum = 1, maximum = 100, default = 10, value_type = Option<u32>, nullable = false)]
    first: Number<10, 100>,
}

/// A stretch of a room in numbers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StatisticsBody {
    #[schema(value_type = schemas::Time)]
    from: String,
    #[schema(value_type = schemas::Time)]
    to: String,
    messages: u64,
    /// Users who wrote.
    chatters: u64,
    /// Those of them who never had in this room before.
    new_chatters: u64,
    /// From `from` on, without gaps. The last one ends at `to`, and may be shorter.
    buckets: Vec<BucketBody>,
}

/// A bucket of time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BucketBody {
    /// When it begins.
    #[schema(value_type = schemas::Time)]
    at: String,
    messages: u64,
    /// Users who wrote. Whoever wrote in several buckets is in each of them.
    chatters: u64,
    /// Users whose first message in this room is in it.
    new_chatters: u64,
}

/// Who wrote most.
#[derive(Debug, Serialize, ToSchema)]
struct ChattersBody {
    chatters: Vec<ChatterBody>,
}

/// Somebody, and how much that one wrote.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ChatterBody {
    /// As known with the latest message.
    user: UserBody,
    messages: u64,
    #[schema(value_type = schemas::Time)]
    first_at: String,
    #[schema(value_type = schemas::Time)]
    last_at: String,
}

/// Which words are in most messages.
#[derive(Debug, Serialize, ToSchema)]
struct WordsBody {
    words: Vec<WordBody>,
}

/// A word, and where it was written.
#[derive(Debug, Serialize, ToSchema)]
struct WordBody {
    word: String,
    /// In how many messages.
    messages: u64,
    /// How many times.
    uses: u64,
}

/// What stands out.
#[derive(Debug, Serialize, ToSchema)]
struct HighlightsBody {
    highlights: Vec<HighlightBody>,
}

/// A moment in which more people wrote than the minutes before let expect.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct HighlightBody {
    #[schema(value_type = schemas::Time)]
    at: String,
    #[schema(value_type = schemas::Time)]
    until: String,
    /// In all of it.
    messages: u64,
    /// When the bucket begins that stands out most; what follows is about it.
    #[schema(value_type = schemas::Time)]
    peak_at: String,
    /// Users who wrote.
    chatters: u64,
    /// How many did before, the mean of 30 buckets.
    chatters_before: f64,
    /// By how many deviations it stands out; 5 at least.
    score: f64,
    /// Up to five messages: the texts that most people wrote, each once.
    samples: Vec<MessageBody>,
}

/// Count a room
///
/// Messages and chatters, by bucket of time.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/statistics",
    tag = "statistics",
    params(RoomPath, StretchQuery, CountQuery),
    responses((status = 200, description = "The counts.", body = StatisticsBody)),
)]
async fn count_room(State(reader): Shared, request: Request) -> Response {
    answer(async {
        let call = Call::begin(&reader, request).await?;
        let stretch = stretch(&call)?;
        let CountQuery { bucket_seconds } = call.query()?;
        let bucket_ms = bucket_ms(stretch, bucket_seconds.get())?;
        let counts = buckets::counts(&reader.database, stretch, bucket_ms).await?;
        let Counts { messages, chatters, new_chatters, buckets } = counts;
        let begins = (0_i64..).map(|number| time(later(stretch.from, number * bucket_ms)));
        let buckets = buckets.into_iter().zip(begins).map(|(bucket, at)| BucketBody::new(bucket, at)).collect();
        let (from, to) = (time(stretch.from), time(stretch.to));
        Ok(Json(StatisticsBody { from, to, messages, chatters, new_chatters, buckets }).into_response())
    })
    .await
}

/// Top chatters
///
/// By the number of their messages, then by their own.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/statistics/chatters",
    tag = "statistics",
    params(RoomPath, StretchQuery, ChattersQuery),
    responses((status = 200, description = "Who wrote most.", body = ChattersBody)),
)]
async fn top_chatters(State(reader): Shared, request: Request) -> Response {
    answer(async {
        let call = Call::begin(&reader, request).await?;
        let stretch = stretch(&call)?;
        let ChattersQuery { first } = call.query()?;
        let chatters = chatters::top(&reader.database, stretch, first.get()).await?;
        Ok(Json(ChattersBody { chatters: chatters.into_iter().map(ChatterBody::from).collect() }).into_response())
    })
    .await
}

/// Top words
///
/// By the number of messages that they are in, then by the alphabet of Unicode. A word is a run of letters, marks and
/// numbers, of two code points at least, with ASCII in lower case. Korean particles are not cut off.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/statistics/words",
    tag = "statistics",
    params(RoomPath, StretchQuery, WordsQuery),
    responses((status = 200, description = "Which words are in most messages.", body = WordsBody)),
)]
async fn top_words(State(reader): Shared, request: Request) -> Response {
    answer(async {
        let call = Call::begin(&reader, request).await?;
        let stretch = stretch(&call)?;
        let WordsQuery { first } = call.query()?;
        let words = words::top(&reader.database, stretch, first.get()).await?;
        Ok(Json(WordsBody { words: words.into_iter().map(WordBody::from).collect() }).into_response())
    })
    .await
}

/// Highlights
///
/// Moments in which more people wrote than in the room's own recent past, by score. People are counted, not messages.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/statistics/highlights",
    tag = "statistics",
    params(RoomPath, StretchQuery, HighlightsQuery),
    responses((status = 200, description = "What stands out.", body = HighlightsBody)),
)]
async fn highlights(State(reader): Shared, request: Request) -> Response {
    answer(async {
        let call = Call::begin(&reader, request).await?;
        let stretch = stretch(&call)?;
        let HighlightsQuery { bucket_seconds, first } = call.query()?;
        let bucket_ms = bucket_ms(stretch, bucket_seconds.get())?;
        let highlights = highlights::top(&reader.database, stretch, bucket_ms, first.get()).await?;
        let highlights = highlights.into_iter().map(HighlightBody::from).collect();
        Ok(Json(HighlightsBody { highlights }).into_response())
    })
    .await
}

/// The stretch that the request asks about, if whoever asks may read the room.
fn stretch(call: &Call) -> Result<Stretch, Refusal> {
    let (room, _) = call.readable_room()?;
    let StretchQuery { from, to } = call.query()?;
    let [from, to] = [from, to].map(Moment::date);
    if to.timestamp_millis() - from.timestamp_millis() > LONGEST_MS {
        return Err(Refusal::QueryInvalid("`to` must be at most 31 days later than `from`".to_owned()));
    }
    Ok(Stretch { presenter_idx: room.get(), from, to })
}

/// Refuses more buckets than an answer may have.
fn bucket_ms(stretch: Stretch, bucket_seconds: i64) -> Result<i64, Refusal> {
    let bucket_ms = bucket_seconds * 1_000;
    let buckets = stretch.buckets(bucket_ms);
    if buckets > MOST_BUCKETS {
        return Err(Refusal::QueryInvalid(format!(
            "`bucketSeconds` must be larger: {buckets} buckets are more than the {MOST_BUCKETS} that an answer may have"
        )));
    }
    Ok(bucket_ms)
}

impl BucketBody {
    fn new(bucket: Bucket, at: String) -> BucketBody {
        let Bucket { messages, chatters, new_chatters } = bucket;
        BucketBody { at, messages, chatters, new_chatters }
    }
}

impl From<Chatter> for ChatterBody {
    fn from(chatter: Chatter) -> ChatterBody {
        let Chatter { user_idx, messages, first_at, last_at, latest: Known { nickname, role } } = chatter;
        let user = UserDocument { user_idx, nickname, role }.into();
        ChatterBody { user, messages, first_at: time(first_at), last_at: time(last_at) }
    }
}

impl From<Word> for WordBody {
    fn from(word: Word) -> WordBody {
        let Word { word, messages, uses } = word;
        WordBody { word, messages, uses }
    }
}

impl From<Highlight> for HighlightBody {
    fn from(highlight: Highlight) -> HighlightBody {
        let Highlight { at, until, messages, peak_at, chatters, chatters_before, score, samples } = highlight;
        HighlightBody {
            at: time(at),
            until: time(until),
            messages,
            peak_at: time(peak_at),
            chatters,
            chatters_before,
            score,
            // They are what everybody sees: nothing that was deleted is among them.
            samples: samples.into_iter().map(|message| MessageBody::new(message, Sight::Shown)).collect(),
        }
    }
}
