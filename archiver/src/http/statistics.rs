//! Statistics of a room: counts by time bucket, top chatters, top words, and highlights.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{RoomReader, Sight};
use super::bodies::{MessageBody, UserBody};
use super::parameters::Query;
use super::path::RoomPath;
use super::refusal::Refusal;
use super::schemas;
use super::state::{App, AppState};
use super::time_format::{QueryTime, time};
use super::turns::Turn;
use super::values::Number;
use crate::mongo::documents::UserDocument;
use crate::query::statistics::Stretch;
use crate::query::statistics::buckets;
use crate::query::statistics::buckets::{Bucket, StretchCounts};
use crate::query::statistics::chatters;
use crate::query::statistics::chatters::{Chatter, Known};
use crate::query::statistics::highlights;
use crate::query::statistics::highlights::Highlight;
use crate::query::statistics::words;
use crate::query::statistics::words::Word;
use crate::query::times::later;

/// 31 days: any month.
const LONGEST_MS: i64 = 31 * 86_400_000;

/// 10,000: about 1 MB of JSON.
const MOST_BUCKETS: u64 = 10_000;

pub(super) fn routes() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new()
        .routes(routes!(count_room))
        .routes(routes!(top_chatters))
        .routes(routes!(top_words))
        .routes(routes!(highlights))
}

/// A stretch of time.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct StretchQuery {
    /// Messages sent at this time or later.
    #[param(value_type = schemas::Time, inline)]
    from: QueryTime,
    /// Messages sent before this time, at most 31 days after `from`. If it is not later than `from`, nothing matches.
    #[param(value_type = schemas::Time, inline)]
    to: QueryTime,
}

/// The size of buckets.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CountQuery {
    /// The length of a bucket. An answer has at most 10,000 buckets.
    #[serde(default, rename = "bucketSeconds")]
    #[param(rename = "bucketSeconds", minimum = 1, maximum = 86_400, default = 60, value_type = Option<u32>, nullable = false)]
    bucket_seconds: Number<60, 86_400>,
}

/// The number of chatters.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ChattersQuery {
    /// The most items in the answer.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1_000, default = 10, value_type = Option<u32>, nullable = false)]
    first: Number<10, 1_000>,
}

/// The number of words.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct WordsQuery {
    /// The most items in the answer.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1_000, default = 50, value_type = Option<u32>, nullable = false)]
    first: Number<50, 1_000>,
}

/// The number of highlights, and the size of buckets.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct HighlightsQuery {
    /// The length of the buckets that are compared. A stretch has at most 10,000 buckets.
    #[serde(default, rename = "bucketSeconds")]
    #[param(rename = "bucketSeconds", minimum = 1, maximum = 60, default = 10, value_type = Option<u32>, nullable = false)]
    bucket_seconds: Number<10, 60>,
    /// The most items in the answer.
    #[serde(default)]
    #[param(minimum = 1, maximum = 100, default = 10, value_type = Option<u32>, nullable = false)]
    first: Number<10, 100>,
}

/// The counts of a stretch.
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
    /// Users who wrote in this room for the first time.
    new_chatters: u64,
    /// Buckets from `from` on, without gaps. The last one ends at `to`, and may be shorter.
    buckets: Vec<BucketBody>,
}

/// A bucket of time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BucketBody {
    /// The start of the bucket.
    #[schema(value_type = schemas::Time)]
    at: String,
    messages: u64,
    /// Users who wrote. A user who wrote in several buckets counts in each.
    chatters: u64,
    /// Users whose first message in this room is in the bucket.
    new_chatters: u64,
}

/// The top chatters.
#[derive(Debug, Serialize, ToSchema)]
struct ChattersBody {
    chatters: Vec<ChatterBody>,
}

/// A user, and how much they wrote.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ChatterBody {
    /// The user as of their latest message.
    user: UserBody,
    messages: u64,
    #[schema(value_type = schemas::Time)]
    first_at: String,
    #[schema(value_type = schemas::Time)]
    last_at: String,
}

/// The top words.
#[derive(Debug, Serialize, ToSchema)]
struct WordsBody {
    words: Vec<WordBody>,
}

/// A word, and how often it was used.
#[derive(Debug, Serialize, ToSchema)]
struct WordBody {
    word: String,
    /// The number of messages with the word.
    messages: u64,
    /// The number of uses, in all messages.
    uses: u64,
}

/// The highlights.
#[derive(Debug, Serialize, ToSchema)]
struct HighlightsBody {
    highlights: Vec<HighlightBody>,
}

/// A moment in which more people wrote than the minutes before suggest.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct HighlightBody {
    #[schema(value_type = schemas::Time)]
    at: String,
    #[schema(value_type = schemas::Time)]
    until: String,
    /// Messages in the whole moment.
    messages: u64,
    /// The start of the bucket with the highest score. The members below are about this bucket.
    #[schema(value_type = schemas::Time)]
    peak_at: String,
    /// Users who wrote.
    chatters: u64,
    /// The mean number of users who wrote in the 30 buckets before.
    chatters_before: f64,
    /// By how many standard deviations it stands out: at least 5.
    score: f64,
    /// Up to five messages: the texts that most people wrote, each once.
    samples: Vec<MessageBody>,
}

/// Count messages and chatters
///
/// By time bucket.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/statistics",
    tag = "statistics",
    params(RoomPath, StretchQuery, CountQuery),
    responses((status = 200, description = "The counts.", body = StatisticsBody)),
)]
async fn count_room(
    State(app): App,
    RoomStretch { stretch, .. }: RoomStretch,
    Query(CountQuery { bucket_seconds }): Query<CountQuery>,
) -> Result<impl IntoResponse, Refusal> {
    let bucket_ms = bucket_ms(stretch, bucket_seconds.get())?;
    let counts = buckets::counts(&app.database, stretch, bucket_ms).await?;
    let StretchCounts { messages, chatters, new_chatters, buckets } = counts;
    let begins = (0_i64..).map(|number| time(later(stretch.from, number * bucket_ms)));
    let buckets = buckets.into_iter().zip(begins).map(|(bucket, at)| BucketBody::new(bucket, at)).collect();
    let (from, to) = (time(stretch.from), time(stretch.to));
    Ok(Json(StatisticsBody { from, to, messages, chatters, new_chatters, buckets }))
}

/// Top chatters
///
/// By the number of messages, then by the user's number.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/statistics/chatters",
    tag = "statistics",
    params(RoomPath, StretchQuery, ChattersQuery),
    responses((status = 200, description = "The top chatters.", body = ChattersBody)),
)]
async fn top_chatters(
    State(app): App,
    RoomStretch { stretch, .. }: RoomStretch,
    Query(ChattersQuery { first }): Query<ChattersQuery>,
) -> Result<impl IntoResponse, Refusal> {
    let chatters = chatters::top(&app.database, stretch, first.get()).await?;
    Ok(Json(ChattersBody { chatters: chatters.into_iter().map(ChatterBody::from).collect() }))
}

/// Top words
///
/// By the number of messages with the word, then in the order of Unicode. A word is a run of letters, marks and
/// numbers, at least two code points long. ASCII letters are lower-cased. Korean particles are not cut off.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/statistics/words",
    tag = "statistics",
    params(RoomPath, StretchQuery, WordsQuery),
    responses((status = 200, description = "The top words.", body = WordsBody)),
)]
async fn top_words(
    State(app): App,
    RoomStretch { stretch, .. }: RoomStretch,
    Query(WordsQuery { first }): Query<WordsQuery>,
) -> Result<impl IntoResponse, Refusal> {
    let words = words::top(&app.database, stretch, first.get()).await?;
    Ok(Json(WordsBody { words: words.into_iter().map(WordBody::from).collect() }))
}

/// Highlights
///
/// Moments in which more people wrote than in the room's own recent past, by score. People count, not messages.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/statistics/highlights",
    tag = "statistics",
    params(RoomPath, StretchQuery, HighlightsQuery),
    responses((status = 200, description = "The highlights.", body = HighlightsBody)),
)]
async fn highlights(
    State(app): App,
    RoomStretch { stretch, .. }: RoomStretch,
    Query(HighlightsQuery { bucket_seconds, first }): Query<HighlightsQuery>,
) -> Result<impl IntoResponse, Refusal> {
    let bucket_ms = bucket_ms(stretch, bucket_seconds.get())?;
    let highlights = highlights::top(&app.database, stretch, bucket_ms, first.get()).await?;
    let highlights = highlights.into_iter().map(HighlightBody::from).collect();
    Ok(Json(HighlightsBody { highlights }))
}

/// A stretch of a room that the caller may read.
struct RoomStretch {
    _reader: RoomReader,
    _turn: Turn,
    stretch: Stretch,
}

impl FromRequestParts<Arc<AppState>> for RoomStretch {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<RoomStretch, Refusal> {
        let reader = RoomReader::from_request_parts(parts, app).await?;
        let Query(StretchQuery { from, to }) = Query::from_request_parts(parts, app).await?;
        let [from, to] = [from, to].map(QueryTime::date);
        if to.timestamp_millis() - from.timestamp_millis() > LONGEST_MS {
            return Err(Refusal::QueryInvalid("`to` must be at most 31 days later than `from`".to_owned()));
        }
        let stretch = Stretch { presenter_idx: reader.room.get(), from, to };
        let turn = reader.caller.turn(app).await;
        Ok(RoomStretch { _reader: reader, _turn: turn, stretch })
    }
}

/// Refuses a size that makes too many buckets.
fn bucket_ms(stretch: Stretch, bucket_seconds: i64) -> Result<i64, Refusal> {
    let bucket_ms = bucket_seconds * 1_000;
    let buckets = stretch.buckets(bucket_ms);
    if buckets > MOST_BUCKETS {
        return Err(Refusal::QueryInvalid(format!(
            "`bucketSeconds` must be larger: it makes {buckets} buckets, and an answer has at most {MOST_BUCKETS}"
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
            // No deleted messages are among them, so they are the same for every caller.
            samples: samples.into_iter().map(|message| MessageBody::new(message, Sight::Shown)).collect(),
        }
    }
}
