//! stub: RFC 9457 application/problem+json with a stable `code`.
/// An error answer.
#[derive(Debug)]
pub struct Problem {}
