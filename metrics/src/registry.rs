//! Where metrics are declared and from where they are exposed.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, TextEncoder,
};

use crate::read::{Kind, Read};

/// The `Content-Type` of [`Registry::text`]: Prometheus' text format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of a part, and those of the parts that it includes. Clones share them.
///
/// Every declaration takes the name, which ends with the unit, and the help text. Both are constants: a name that is
/// not valid or was declared before panics.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    own: prometheus::Registry,
    included: Arc<Mutex<Vec<Registry>>>,
}

/// One counter for each value of a label.
#[derive(Clone, Debug)]
pub struct Counters(IntCounterVec);

/// One distribution for each value of a label.
#[derive(Clone, Debug)]
pub struct Histograms(HistogramVec);

const DECLARED_ONCE: &str = "a metric's name and labels are valid, and declared once";

impl Registry {
    /// Without metrics.
    pub fn new() -> Registry {
        Registry::default()
    }

    /// What only grows. The name ends with `_total`.
    pub fn counter(&self, name: &'static str, help: &'static str) -> IntCounter {
        let counter = IntCounter::new(name, help).expect(DECLARED_ONCE);
        self.register(counter.clone());
        counter
    }

    /// The same by the values of a label. Those that are given are exposed from the start, with 0.
    pub fn counters(
        &self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Counters {
        let counters = Counters(IntCounterVec::new(Opts::new(name, help), &[label]).expect(DECLARED_ONCE));
        self.register(counters.0.clone());
        for value in values {
            counters.of(value.as_ref());
        }
        counters
    }

    /// The distribution of a value. `buckets` are the upper bounds, in the unit of the name.
    pub fn histogram(&self, name: &'static str, help: &'static str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let histogram = Histogram::with_opts(options).expect(DECLARED_ONCE);
        self.register(histogram.clone());
        histogram
    }

    /// The same for a distribution, by the values of a label.
    pub fn histograms(
        &self,
        name: &'static str,
        help: &'static str,
        buckets: &[f64],
        label: &'static str,
        values: impl IntoIterator<Item = &'static str>,
    ) -> Histograms {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let histograms = Histograms(HistogramVec::new(options, &[label]).expect(DECLARED_ONCE));
        self.register(histograms.0.clone());
        for value in values {
            histograms.of(value);
        }
        histograms
    }

    /// A value that goes up and down, read at each scrape. `None`: it is not known, and nothing is exposed.
    pub fn gauge<V: Into<Option<f64>>>(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> V + Send + Sync + 'static,
    ) {
        let values = move || read().into().map(|value| (String::new(), value)).into_iter().collect();
        self.register(Read::new(name, help, None, Kind::Gauge, values));
    }

    /// The same by a label, whose values are few. Without values nothing is exposed.
    pub fn gauges(
        &self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        read: impl Fn() -> Vec<(String, f64)> + Send + Sync + 'static,
    ) {
        self.register(Read::new(name, help, Some(label), Kind::Gauge, read));
    }

    /// A counter that is kept elsewhere, read at each scrape. The name ends with `_total`.
    pub fn read_counter(&self, name: &'static str, help: &'static str, read: impl Fn() -> f64 + Send + Sync + 'static) {
        self.register(Read::new(name, help, None, Kind::Counter, move || vec![(String::new(), read())]));
    }

    /// The same by a label, whose values are few.
    pub fn read_counters(
        &self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        read: impl Fn() -> Vec<(String, f64)> + Send + Sync + 'static,
    ) {
        self.register(Read::new(name, help, Some(label), Kind::Counter, read));
    }

    /// Exposes the metrics of a part with this registry's, also those that the part declares later.
    pub fn include(&self, part: &Registry) {
        self.included.lock().push(part.clone());
    }

    /// Everything in Prometheus' text format, by name.
    pub fn text(&self) -> String {
        let mut families = self.families();
        families.sort_by(|one, other| one.name().cmp(other.name()));
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text).expect("a family that was gathered has metrics");
        String::from_utf8(text).expect("names, help texts and labels are text")
    }

    /// The build as labels of a gauge that is always 1, which a query joins to other metrics.
    pub(crate) fn build_info(&self, node: &str, role: &'static str, version: &'static str) {
        let info = Opts::new("chatting_build_info", "The node, and the role and the version that it runs. Always 1.");
        let info = info.const_label("node", node).const_label("role", role).const_label("version", version);
        let info = IntGauge::with_opts(info);
        let info = info.expect(DECLARED_ONCE);
        info.set(1);
        self.register(info);
    }

    pub(crate) fn register(&self, collector: impl Collector + 'static) {
        self.own.register(Box::new(collector)).expect(DECLARED_ONCE);
    }

    fn families(&self) -> Vec<MetricFamily> {
        let parts = self.included.lock().clone();
        let own = self.own.gather();
        own.into_iter().chain(parts.iter().flat_map(Registry::families)).collect()
    }
}

impl Histograms {
    /// The distribution of a value. It is looked up: keep it where every request counts.
    pub fn of(&self, value: &'static str) -> Histogram {
        self.0.with_label_values(&[value])
    }
}

impl Counters {
    /// The counter of a value, which is never one that a user chooses. It is looked up: keep it where every request
    /// counts.
    pub fn of(&self, value: &str) -> IntCounter {
        self.0.with_label_values(&[value])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_declared_is_exposed_by_name_with_its_type_and_help() {
        let (registry, part) = (Registry::new(), Registry::new());
        registry.include(&part);
        registry.gauge("b_bytes", "Bytes.", || 1.5);
        registry.gauges("c_ratio", "Ratio.", "stream", || vec![("CHAT_0".to_owned(), 0.5)]);
        registry.gauges("c_none", "Nothing yet.", "stream", Vec::new);
        part.read_counter("a_total", "Counted elsewhere.", || 3.0);
        let codes = part.counters("d_total", "By code.", "code", ["ok", "gone"]);
        codes.of("gone").inc();
        registry.histogram("e_seconds", "Time.", &[1.0]).observe(0.5);
        let expected = "\
            # HELP a_total Counted elsewhere.\n# TYPE a_total counter\na_total 3\n\
            # HELP b_bytes Bytes.\n# TYPE b_bytes gauge\nb_bytes 1.5\n\
            # HELP c_ratio Ratio.\n# TYPE c_ratio gauge\nc_ratio{stream=\"CHAT_0\"} 0.5\n\
            # HELP d_total By code.\n# TYPE d_total counter\nd_total{code=\"gone\"} 1\nd_total{code=\"ok\"} 0\n\
            # HELP e_seconds Time.\n# TYPE e_seconds histogram\ne_seconds_bucket{le=\"1\"} 1\n\
            e_seconds_bucket{le=\"+Inf\"} 1\ne_seconds_sum 0.5\ne_seconds_count 1\n";
        assert_eq!(registry.text(), expected);
    }
}
