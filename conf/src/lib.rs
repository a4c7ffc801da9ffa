//! Types of configuration values: times and sizes with units, secrets, addresses that hide their credentials, and the
//! problems of a section. Each type parses, prints and checks its bounds. The crate does not know which settings exist
//! or where they are set.

mod address;
mod problem;
mod secret;
mod size;
mod span;

pub use address::{Address, InvalidAddress, optional_address, shown};
pub use problem::{Problem, Problems};
pub use secret::Secret;
pub use size::{InvalidSize, Size};
pub use span::{InvalidSpan, Span};
