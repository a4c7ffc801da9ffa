//! The section `[otlp]` of the configuration.

use std::ops::RangeInclusive;

use conf::{Address, Problem, Problems, Secret, Span, optional_address};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

/// 100 ms to 1 m.
const TIMEOUTS: RangeInclusive<Span> = Span::from_millis(100)..=Span::from_secs(60);

/// 1 to 65,536 spans; each is less than 1 KB.
const QUEUES: RangeInclusive<usize> = 1..=65_536;

/// The section `[otlp]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The collector, without `/v1/traces`. None: nothing is traced.
    #[serde(deserialize_with = "optional_address")]
    pub url: Option<Address>,
    /// Headers of each export: `name=value`, with commas. Values are percent-encoded where they have to be, as in
    /// `OTEL_EXPORTER_OTLP_HEADERS`.
    pub headers: Secret,
    /// The part of the traces that begin here, 0 to 1. A caller's decision counts before it.
    pub sample_ratio: f64,
    /// The resource attribute `service.name`. Empty: `chatting-server-` and the role.
    pub service_name: String,
    /// The time for an export.
    pub timeout: Span,
    /// Spans that may wait for their export. More are dropped.
    pub queue: usize,
}

impl Config {
    /// Every setting that cannot work.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::of("otlp");
        problems.within("timeout", self.timeout, TIMEOUTS);
        problems.within("queue", self.queue, QUEUES);
        problems.require((0.0..=1.0).contains(&self.sample_ratio), "sample_ratio", "must be 0.0 to 1.0");
        let headers = self.headers().err().unwrap_or_default();
        problems.require(headers.is_empty(), "headers", headers);
        problems.found()
    }

    /// Err: what is wrong, without the value.
    pub(crate) fn headers(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        for (number, header) in (1..).zip(self.headers.text().split(',').filter(|header| !header.trim().is_empty())) {
            let (name, value) =
                header.split_once('=').ok_or_else(|| format!("header {number} has no `=`: write name=value"))?;
            let name: HeaderName =
                name.trim().parse().map_err(|_| format!("the name of header {number} is not one of HTTP"))?;
            let value = percent_encoding::percent_decode_str(value.trim()).collect::<Vec<u8>>();
            let mut value = HeaderValue::from_bytes(&value)
                .map_err(|_| format!("the value of header {number} is not one of HTTP"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn config() -> Config {
        Config {
            url: None,
            headers: Secret::default(),
            sample_ratio: 1.0,
            service_name: String::new(),
            timeout: Span::from_secs(5),
            queue: 16,
        }
    }

    fn headers(text: &str) -> Result<Vec<(String, String)>, String> {
        let headers = Config { headers: text.to_owned().into(), ..config() }.headers()?;
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        Ok(headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect())
    }

    #[test]
    fn headers_are_read_as_the_variable_of_opentelemetry_has_them() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(headers(""), Ok(vec![]));
        assert_eq!(headers("Authorization=Bearer%20a=b"), Ok(vec![pair("authorization", "Bearer a=b")]));
        assert_eq!(headers(" a = 1 , b=x%2Cy, "), Ok(vec![pair("a", "1"), pair("b", "x,y")]));
    }

    #[test]
    fn wrong_settings_are_named_and_no_header_is_shown() {
        let problems = |config: Config| config.problems().iter().map(Problem::to_string).collect::<Vec<_>>();
        assert!(problems(config()).is_empty());
        for (text, reason) in [
            ("hunter2", "otlp.headers: header 1 has no `=`: write name=value"),
            ("a=b,hunter 2=c", "otlp.headers: the name of header 2 is not one of HTTP"),
            ("a=hunter2%0a", "otlp.headers: the value of header 1 is not one of HTTP"),
        ] {
            assert_eq!(problems(Config { headers: text.to_owned().into(), ..config() }), [reason]);
        }
        for sample_ratio in [-0.1, 1.5, f64::NAN] {
            let wrong = Config { sample_ratio, queue: 0, timeout: Span::from_secs(61), ..config() };
            assert_eq!(problems(wrong).len(), 3, "{sample_ratio}");
        }
    }
}
