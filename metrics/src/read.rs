//! Metrics without a value of their own: it is read from its owner at each scrape.

use std::collections::HashMap;
use std::fmt;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// The values by label, or one value under the empty string.
type Values = Box<dyn Fn() -> Vec<(String, f64)> + Send + Sync>;

/// A metric that is read at each scrape.
pub(crate) struct Read {
    description: Desc,
    label: Option<&'static str>,
    kind: Kind,
    read: Values,
}

/// The type that is exposed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Counter,
    Gauge,
}

impl Read {
    pub(crate) fn new(
        name: &'static str,
        help: &'static str,
        label: Option<&'static str>,
        kind: Kind,
        read: impl Fn() -> Vec<(String, f64)> + Send + Sync + 'static,
    ) -> Read {
        let labels = label.iter().map(|label| (*label).to_owned()).collect();
        let description = Desc::new(name.to_owned(), help.to_owned(), labels, HashMap::new());
        Read {
            description: description.expect("a metric's name and label are valid"),
            label,
            kind,
            read: Box::new(read),
        }
    }

    fn metric(&self, value: f64, label_value: String) -> Metric {
        let mut metric = Metric::default();
        if let Some(label) = self.label {
            let mut pair = LabelPair::default();
            pair.set_name(label.to_owned());
            pair.set_value(label_value);
            metric.set_label(vec![pair]);
        }
        match self.kind {
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            Kind::Gauge => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        metric
    }
}

impl Collector for Read {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.description]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut family = MetricFamily::default();
        family.set_name(self.description.fq_name.clone());
        family.set_help(self.description.help.clone());
        family.set_field_type(match self.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
        });
        family.set_metric((self.read)().into_iter().map(|(label, value)| self.metric(value, label)).collect());
        vec![family]
    }
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read").field("description", &self.description).finish_non_exhaustive()
    }
}
