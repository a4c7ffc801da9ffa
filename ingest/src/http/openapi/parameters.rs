//! What requests say beside their body: the numbers in paths, and the header that names a request.

use utoipa::IntoParams;

use super::schemas;

/// `{presenterIdx}`
#[derive(IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what `Place` reads")]
pub(crate) struct RoomPath {
    /// The room, by its presenter's number.
    #[param(inline)]
    presenter_idx: schemas::PresenterIdx,
}

/// `{userIdx}`
#[derive(IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what `Place` reads")]
pub(crate) struct UserPath {
    /// The user's number.
    #[param(inline)]
    user_idx: schemas::UserIdx,
}

/// `{messageId}`
#[derive(IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what `Place` reads")]
pub(crate) struct MessagePath {
    /// The message's id.
    #[param(inline)]
    message_id: schemas::EventId,
}

/// `Idempotency-Key`
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents what a request's head reads")]
pub(crate) struct Key {
    /// The client's name for this request. A retry under the same name has no second effect and gets the same id.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255, pattern = "^[!-~]+$", nullable = false)]
    idempotency_key: Option<String>,
}

/// `Idempotency-Key`, where the question is about one
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents what a request's head reads")]
pub(crate) struct RequestKey {
    /// The key of the request in question.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    idempotency_key: String,
}
