//! A request to `/v1`, read as far as all of them are alike: who asks, under which key, about what, and the body. If
//! any of it is refused the body is taken in all the same, so that its sender sees the answer.

use axum::RequestExt;
use axum::extract::{Query, RawPathParams, Request};
use axum::http::request::Parts;
use chat::{EventId, PresenterIdx, UserIdx};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::SemaphorePermit;
use utoipa::IntoParams;

use crate::Ingest;
use crate::http::body;
use crate::http::body::Shape;
use crate::http::head::Head;
use crate::http::openapi::schemas;
use crate::http::refusal::Refusal;
use crate::posting::accept::{IdempotencyKey, Sender};
use crate::posting::text::Text;

/// A request that may go on.
pub(super) struct Call<'a, T> {
    pub(super) sender: Sender,
    pub(super) key: Option<IdempotencyKey>,
    pub(super) place: Place,
    pub(super) body: T,
    parts: Parts,
    /// Held to the answer: as many requests as there are permits are worked on at once.
    _permit: SemaphorePermit<'a>,
}

/// A request whose body is not there yet.
struct Begun {
    head: Head,
    place: Place,
    parts: Parts,
    body: axum::body::Body,
}

/// What the path names.
#[derive(Debug, Default)]
pub(super) struct Place {
    presenter: Option<PresenterIdx>,
    user: Option<UserIdx>,
    message: Option<EventId>,
}

/// The query of a `DELETE`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ReasonQuery {
    /// Why, for those who read the log.
    #[param(inline, value_type = Option<schemas::Text>, nullable = false)]
    reason: Option<String>,
}

impl<'a> Call<'a, ()> {
    /// A request whose body, if any, says nothing.
    pub(super) async fn without_body(ingest: &'a Ingest, request: Request) -> Result<Call<'a, ()>, Refusal> {
        let Begun { head: Head { sender, key }, place, parts, body } = Begun::begin(ingest, request).await?;
        let discarded = async {
            body::discard(&parts, body).await;
            Ok(())
        };
        ingest.body(&sender, discarded).await?;
        Ok(Call { sender, key, place, body: (), parts, _permit: ingest.permit()? })
    }

    /// A request with a JSON object of that shape.
    pub(super) async fn with_body<T: Shape>(ingest: &'a Ingest, request: Request) -> Result<Call<'a, T>, Refusal> {
        let Begun { head: Head { sender, key }, place, parts, body } = Begun::begin(ingest, request).await?;
        let body = ingest.body(&sender, body::json(&parts, body, ingest.body_deadline)).await?;
        Ok(Call { sender, key, place, body, parts, _permit: ingest.permit()? })
    }
}

impl Begun {
    async fn begin(ingest: &Ingest, mut request: Request) -> Result<Begun, Refusal> {
        ingest.door.check()?;
        let params = request.extract_parts::<RawPathParams>().await;
        let (parts, body) = request.into_parts();
        let place = params.map_err(|_| Refusal::NotFound).and_then(|params| Place::parse(&params));
        match ingest.head(&parts).await.and_then(|head| Ok((head, place?))) {
            Ok((head, place)) => Ok(Begun { head, place, parts, body }),
            Err(refusal) => {
                body::discard(&parts, body).await;
                Err(refusal)
            }
        }
    }
}

impl<T> Call<'_, T> {
    pub(super) fn query<Q: DeserializeOwned>(&self) -> Result<Q, Refusal> {
        let query = Query::try_from_uri(&self.parts.uri).map(|Query(query)| query);
        query.map_err(|rejection| Refusal::QueryInvalid(wrong_parameter(&rejection.body_text())))
    }

    /// The key of a request that is about one.
    pub(super) fn key(&self) -> Result<&IdempotencyKey, Refusal> {
        self.key.as_ref().ok_or(Refusal::IdempotencyKeyMissing)
    }

    /// The reason that the query gives.
    pub(super) fn reason(&self) -> Result<Option<Text>, Refusal> {
        reason(self.query::<ReasonQuery>()?.reason.as_deref())
    }
}

impl Place {
    fn parse(params: &RawPathParams) -> Result<Place, Refusal> {
        let mut place = Place::default();
        for (name, value) in params {
            match name {
                "presenterIdx" => {
                    place.presenter = Some(value.parse().map_err(|_| Refusal::PresenterIdxInvalid)?);
                }
                "userIdx" => place.user = Some(value.parse().map_err(|_| Refusal::UserIdxInvalid)?),
                "messageId" => place.message = Some(value.parse().map_err(|_| Refusal::MessageIdInvalid)?),
                _ => {}
            }
        }
        Ok(place)
    }

    /// The room; none where the path is about every room.
    pub(super) fn room(&self) -> Option<PresenterIdx> {
        self.presenter
    }

    pub(super) fn presenter(&self) -> Result<PresenterIdx, Refusal> {
        self.presenter.ok_or(Refusal::PresenterIdxInvalid)
    }

    pub(super) fn user(&self) -> Result<UserIdx, Refusal> {
        self.user.ok_or(Refusal::UserIdxInvalid)
    }

    pub(super) fn message(&self) -> Result<EventId, Refusal> {
        self.message.ok_or(Refusal::MessageIdInvalid)
    }
}

/// What a query's parser says of a parameter, in our words.
fn wrong_parameter(error: &str) -> String {
    let error = error.strip_prefix("Failed to deserialize query string: ").unwrap_or(error);
    if let Some(name) = error.split("duplicate field `").nth(1).and_then(|rest| rest.split('`').next()) {
        return format!("The parameter {name:?} is there twice.");
    }
    match error.split_once(':') {
        Some(("first", _)) => FIRST.to_owned(),
        Some(("after", _)) => AFTER.to_owned(),
        _ => format!("The query cannot be read: {error}."),
    }
}

/// What the parameters of a list must be.
pub(super) const FIRST: &str = "The parameter \"first\" must be an integer from 1 to 1000.";
pub(super) const AFTER: &str = "The parameter \"after\" must be what \"next\" was on the page before.";

/// A moderator's reason, if there is one.
pub(super) fn reason(reason: Option<&str>) -> Result<Option<Text>, Refusal> {
    reason.map(|reason| Text::parse(reason).map_err(|_| Refusal::ReasonInvalid)).transpose()
}
