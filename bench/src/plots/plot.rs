//! A plot as JSON: what was measured, and under which conditions.

use serde::{Deserialize, Serialize};

/// A plot.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Plot {
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) measured: Measured,
    pub(super) series: Vec<Series>,
}

/// An axis.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Axis {
    /// With the unit.
    pub(super) title: String,
    pub(super) is_logarithmic: bool,
}

/// How it was measured.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Measured {
    /// RFC 3339.
    pub(super) at: String,
    /// The build profile.
    pub(super) profile: String,
    pub(super) processors: usize,
    pub(super) rounds: usize,
    /// Seconds of each load.
    pub(super) seconds: u64,
    /// Processors that other programs kept busy meanwhile, on average.
    pub(super) busy_besides: f64,
}

/// A line of the plot.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
}

/// What one `x` gave.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Point {
    pub(super) x: f64,
    /// One a round.
    pub(super) values: Vec<f64>,
}

impl Plot {
    /// Adds the value of a round.
    pub(super) fn add(&mut self, series: &str, x: f64, value: f64) {
        let at = match self.series.iter().position(|known| known.name == series) {
            Some(at) => at,
            None => {
                self.series.push(Series { name: series.to_owned(), points: Vec::new() });
                self.series.len() - 1
            }
        };
        let points = &mut self.series[at].points;
        match points.iter_mut().find(|point| point.x == x) {
            Some(point) => point.values.push(value),
            None => points.push(Point { x, values: vec![value] }),
        }
    }
}

impl Point {
    /// The smallest, the median and the largest.
    pub(super) fn spread(&self) -> [f64; 3] {
        let mut values = self.values.clone();
        values.sort_by(f64::total_cmp);
        let at = |at: usize| values.get(at).copied().unwrap_or(f64::NAN);
        [at(0), at(values.len() / 2), at(values.len().saturating_sub(1))]
    }
}
