//! A span: what was done, when, and for which trace. Names and attributes are those of OpenTelemetry's semantic
//! conventions where there is one. No span has a text, a name of a user or a token.

use std::time::SystemTime;

use runtime::TraceContext;

/// A span that has begun.
#[derive(Debug)]
pub struct Span {
    pub(crate) context: TraceContext,
    pub(crate) parent: Option<[u8; 8]>,
    pub(crate) kind: Kind,
    pub(crate) name: &'static str,
    pub(crate) start: SystemTime,
    pub(crate) end: SystemTime,
    pub(crate) attributes: Vec<(&'static str, Value)>,
    pub(crate) links: Vec<TraceContext>,
    pub(crate) has_failed: bool,
}

/// The role of a span in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An operation within this process.
    Internal,
    /// The answer to a request.
    Server,
    /// A request to another server.
    Client,
    /// A message that is sent, to be received later.
    Producer,
    /// A message that was received.
    Consumer,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text of the program, or an id.
    Text(String),
    /// A number.
    Number(i64),
}

impl Span {
    /// A span below `parent`, from now on.
    pub fn below(parent: TraceContext, kind: Kind, name: &'static str) -> Span {
        Span::new(parent.trace, Some(parent.span), kind, name)
    }

    pub(crate) fn new(trace: [u8; 16], parent: Option<[u8; 8]>, kind: Kind, name: &'static str) -> Span {
        let span = fastrand::u64(1..).to_be_bytes();
        let now = SystemTime::now();
        Span {
            context: TraceContext { trace, span },
            parent,
            kind,
            name,
            start: now,
            end: now,
            attributes: Vec::new(),
            links: Vec::new(),
            has_failed: false,
        }
    }

    /// Its place in the trace, for what it causes.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// It began then.
    pub fn since(mut self, start: SystemTime) -> Span {
        self.start = start;
        self
    }

    /// Adds an attribute.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Span {
        self.attributes.push((name, value.into()));
        self
    }

    /// Links it to a span that shares its work.
    pub fn linked(mut self, other: TraceContext) -> Span {
        self.links.push(other);
        self
    }

    /// It ended with an error of that type, a status or a word of the program.
    pub fn failed(mut self, error: &str) -> Span {
        self.has_failed = true;
        self.with("error.type", error)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Value {
        Value::Number(number.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Value {
        Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}
