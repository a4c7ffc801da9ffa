//! Query parameters that several operations share. [`Query`] reads and refuses them, and each struct documents its own.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query as AxumQuery};
use axum::http::request::Parts;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use utoipa::{IntoParams, ToSchema};

use super::refusal::Refusal;
use super::schemas;
use super::time_format::QueryTime;
use super::values::{After, First, PlayerTime};
use crate::query::sequence::{Order, Span};
use crate::query::timeline::TimelineKind;

/// The members of `T` from the query. A request with an invalid one is refused, and the refusal names it.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Query<T>, Refusal> {
        let query = AxumQuery::try_from_uri(&parts.uri).map(|AxumQuery(query)| Query(query));
        query.map_err(|rejection| {
            let text = rejection.body_text();
            let wrong = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            Refusal::QueryInvalid(format!("the query is invalid: {wrong}"))
        })
    }
}

/// Deserialises an id as strictly as in a path. As an event's it could be larger than the API permits.
pub(super) fn strict_id<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(query: D) -> Result<Option<T>, D::Error> {
    let id = String::deserialize(query)?;
    id.parse().map(Some).map_err(D::Error::custom)
}

/// A page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// The most items on a page. A page may have fewer although more follow: `next` says so.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100, value_type = Option<u32>, nullable = false)]
    pub(super) first: First,
    /// The value of `next` on the previous page. Empty: there was none.
    #[serde(default)]
    #[param(value_type = Option<schemas::Cursor>, inline, nullable = false)]
    pub(super) after: After,
}

/// A time span.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SpanQuery {
    /// Messages sent at this time or later.
    #[param(value_type = Option<schemas::Time>, inline, nullable = false)]
    pub(super) from: Option<QueryTime>,
    /// Messages sent before this time. If it is not later than `from`, nothing matches.
    #[param(value_type = Option<schemas::Time>, inline, nullable = false)]
    pub(super) to: Option<QueryTime>,
}

impl SpanQuery {
    pub(super) fn span(self) -> Span {
        Span { from: self.from.map(QueryTime::date), to: self.to.map(QueryTime::date) }
    }
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum OrderParameter {
    /// The oldest first.
    Asc,
    /// The newest first.
    Desc,
}

impl OrderParameter {
    pub(super) fn order(self) -> Order {
        match self {
            OrderParameter::Asc => Order::Asc,
            OrderParameter::Desc => Order::Desc,
        }
    }
}

/// How the recording treats the presenter's absences.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TimelineQuery {
    /// `segments` (the default): the recording is cut while the presenter is away; messages sent then appear at the
    /// cut. `wall`: the recording runs on.
    #[serde(default)]
    #[param(inline, value_type = Option<TimelineParameter>, nullable = false)]
    timeline: TimelineParameter,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum TimelineParameter {
    #[default]
    Segments,
    Wall,
}

impl TimelineQuery {
    pub(super) fn kind(self) -> TimelineKind {
        match self.timeline {
            TimelineParameter::Segments => TimelineKind::Segments,
            TimelineParameter::Wall => TimelineKind::Wall,
        }
    }
}

/// A place in a recording.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FromQuery {
    /// Where to start in the recording: milliseconds, `01:02:03`, or `01:02:03.250`. Ignored if a cursor is given.
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = r"^([0-9]{1,12}|[0-9]{2,5}:[0-5][0-9]:[0-5][0-9](\.[0-9]{3})?)$", nullable = false)]
    pub(super) from: PlayerTime,
}
