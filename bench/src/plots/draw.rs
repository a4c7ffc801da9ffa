//! Draws a plot as SVG, on a background of its own, light or dark as the reader's system is.

use std::ops::Range;

use anyhow::Context as _;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::plot::{Axis, Plot};

/// Pixels.
const SIZE: (u32, u32) = (760, 430);

/// From one name of the legend to the next.
const LEGEND: usize = 168;

/// Of the system that a browser would take first.
const FONT: &str = "sans-serif";

/// What is drawn in light mode, and what takes its place in dark mode. A rule of the style sheet finds it by its colour.
const BACKGROUND: (RGBColor, &str) = (RGBColor(0xff, 0xff, 0xff), "#0d1117");
const TEXT: (RGBColor, &str) = (RGBColor(0x1f, 0x23, 0x28), "#e6edf3");
const NOTE: (RGBColor, &str) = (RGBColor(0x59, 0x63, 0x6e), "#9198a1");
const GRID: (RGBColor, &str) = (RGBColor(0xd1, 0xd9, 0xe0), "#30363d");
const LINES: [(RGBColor, &str); 4] = [
    (RGBColor(0x09, 0x69, 0xda), "#58a6ff"),
    (RGBColor(0xbc, 0x4c, 0x00), "#f0883e"),
    (RGBColor(0x1a, 0x7f, 0x37), "#3fb950"),
    (RGBColor(0x82, 0x50, 0xdf), "#bc8cff"),
];

/// An SVG.
pub(super) fn svg(plot: &Plot) -> anyhow::Result<String> {
    let points = || plot.series.iter().flat_map(|series| &series.points);
    let mut x = scale(&plot.x, points().map(|point| point.x))?;
    if plot.x.is_logarithmic {
        // One series has the same as another.
        x.labels = points().map(|point| point.x).collect();
        x.labels.sort_by(f64::total_cmp);
        x.labels.dedup();
    }
    let y = scale(&plot.y, points().flat_map(|point| point.spread()))?;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(&root, plot, x, y).map_err(|error| anyhow::anyhow!("cannot draw: {error}"))?;
    }
    let start = svg.find('>').context("the SVG has no element")? + 1;
    svg.insert_str(start, &dark());
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Error<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn draw<'a>(root: &Area<'a>, plot: &Plot, x: Scale, y: Scale) -> Result<(), Error<'a>> {
    root.fill(&BACKGROUND.0)?;
    let centred = |size, color| style(size, color).pos(Pos::new(HPos::Center, VPos::Center));
    let middle = SIZE.0 as i32 / 2;
    root.draw(&Text::new(plot.title.clone(), (middle, 22), centred(19, &TEXT.0)))?;
    root.draw(&Text::new(conditions(plot), (middle, SIZE.1 as i32 - 14), centred(14, &NOTE.0)))?;
    let mut chart = ChartBuilder::on(root)
        .margin_top(68)
        .margin_right(36)
        .margin_bottom(30)
        .margin_left(10)
        .x_label_area_size(46)
        .y_label_area_size(70)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.0)
        .axis_style(NOTE.0)
        .label_style(style(15, &TEXT.0))
        .axis_desc_style(style(16, &TEXT.0))
        .x_desc(plot.x.title.as_str())
        .y_desc(plot.y.title.as_str())
        .y_labels(6)
        .draw()?;
    for (series, (color, _)) in plot.series.iter().zip(LINES.iter().cycle()) {
        let spread: Vec<(f64, [f64; 3])> = series.points.iter().map(|point| (point.x, point.spread())).collect();
        let line = spread.iter().map(|(x, [_, median, _])| (*x, *median));
        chart.draw_series(LineSeries::new(line.clone(), color.stroke_width(2)))?;
        chart.draw_series(line.map(|point| Circle::new(point, 3, color.filled())))?;
        // From the smallest to the largest value of all rounds.
        chart.draw_series(
            spread.iter().map(|(x, [least, _, most])| PathElement::new(vec![(*x, *least), (*x, *most)], *color)),
        )?;
    }
    // Above the lines, none of which it hides.
    let (left, row) = (90, 50);
    let names = plot.series.iter().zip(LINES.iter().cycle()).zip((left..).step_by(LEGEND));
    for ((series, (color, _)), left) in names.filter(|_| plot.series.len() > 1) {
        root.draw(&PathElement::new(vec![(left, row), (left + 18, row)], color.stroke_width(2)))?;
        let beside = style(15, &TEXT.0).pos(Pos::new(HPos::Left, VPos::Center));
        root.draw(&Text::new(series.name.clone(), (left + 24, row), beside))?;
    }
    root.present()
}

fn style(size: i32, color: &'static RGBColor) -> TextStyle<'static> {
    TextStyle::from((FONT, size).into_font()).color(color)
}

/// How it was measured, in a line.
fn conditions(plot: &Plot) -> String {
    let measured = &plot.measured;
    let day = measured.at.split('T').next().unwrap_or_default();
    format!(
        "{day}, {} build, {} cores, other programs on {:.1} of them; medians of {} × {} s, and the range",
        measured.profile, measured.processors, measured.busy_besides, measured.rounds, measured.seconds,
    )
}

/// Gives the colours of light mode others in dark mode.
fn dark() -> String {
    let mut style = "\n<style>@media (prefers-color-scheme: dark) {".to_owned();
    for (RGBColor(red, green, blue), dark) in [BACKGROUND, TEXT, NOTE, GRID].into_iter().chain(LINES) {
        let light = format!("#{red:02X}{green:02X}{blue:02X}");
        style += &format!("\n[fill=\"{light}\"] {{ fill: {dark} }} [stroke=\"{light}\"] {{ stroke: {dark} }}");
    }
    style + " }</style>"
}

/// A linear or a logarithmic scale.
#[derive(Clone)]
struct Scale {
    is_logarithmic: bool,
    range: Range<f64>,
    /// Where the labels are. Empty: at 1, 2 and 5 of a power of ten.
    labels: Vec<f64>,
}

fn scale(axis: &Axis, values: impl Iterator<Item = f64>) -> anyhow::Result<Scale> {
    let finite = values.filter(|value| value.is_finite());
    let (least, most) = finite.fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)));
    anyhow::ensure!(least <= most, "the axis of {} has no values", axis.title);
    let range = match axis.is_logarithmic {
        true => least.max(f64::MIN_POSITIVE) / 1.25..most * 1.25,
        false => 0.0..most * 1.05 + f64::MIN_POSITIVE,
    };
    Ok(Scale { is_logarithmic: axis.is_logarithmic, range, labels: Vec::new() })
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let of = |value: f64| if self.is_logarithmic { value.ln() } else { value };
        let part = (of(*value) - of(self.range.start)) / (of(self.range.end) - of(self.range.start));
        limit.0 + (f64::from(limit.1 - limit.0) * part).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if !self.labels.is_empty() {
            return self.labels.clone();
        }
        let most = hint.max_num_points();
        if !self.is_logarithmic {
            // The smallest step of 1, 2 or 5 of a power of ten that gives few enough.
            let span = self.range.end - self.range.start;
            let step = steps(span / 1_000.0..span * 10.0).find(|step| span / step <= most as f64).unwrap_or(span);
            return (0..=most).map(|at| at as f64 * step).take_while(|point| *point <= self.range.end).collect();
        }
        let all: Vec<f64> = steps(self.range.clone()).collect();
        if all.len() <= most.max(10) {
            return all;
        }
        all.into_iter().filter(|point| point.log10().fract().abs() < 1e-9).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// 1, 2 and 5 of each power of ten in the range.
fn steps(range: Range<f64>) -> impl Iterator<Item = f64> {
    let powers = range.start.log10().floor() as i32..=range.end.log10().ceil() as i32;
    let all = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(power)));
    all.filter(move |step| range.contains(step))
}

impl ValueFormatter<f64> for Scale {
    fn format(value: &f64) -> String {
        label(*value)
    }
}

/// `0.5`, `200`, `20,000`.
fn label(value: f64) -> String {
    if value < 10.0 && value.fract() != 0.0 {
        return format!("{value}");
    }
    let digits = format!("{value:.0}");
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::plot::Measured;

    fn plot() -> Plot {
        let axis = |title: &str, is_logarithmic| Axis { title: title.to_owned(), is_logarithmic };
        let (at, profile) = ("2026-12-01T01:00:00Z".to_owned(), "release".to_owned());
        let measured = Measured { at, profile, processors: 2, rounds: 3, seconds: 1, busy_besides: 0.25 };
        let (x, y) = (axis("posters", true), axis("messages/s", false));
        let mut plot = Plot { title: "Throughput".to_owned(), x, y, measured, series: Vec::new() };
        for (series, factor) in [("ours", 1.0), ("nchan", 2.0)] {
            for (x, value) in [(1.0, 500.0), (64.0, 15_000.0), (1_024.0, 20_000.0), (64.0, 14_000.0), (64.0, 17_000.0)]
            {
                plot.add(series, x, factor * value);
            }
        }
        plot
    }

    #[test]
    fn a_plot_has_its_axes_its_lines_and_its_conditions() {
        let svg = svg(&plot()).unwrap();
        for text in
            ["Throughput", "posters", "messages/s", "ours", "nchan", "1,024", "20,000", "release build, 2 cores"]
        {
            assert!(svg.contains(text), "{text} is missing: {svg}");
        }
        assert_eq!(svg.matches("<circle").count(), 6, "{svg}");
    }

    #[test]
    fn every_colour_has_one_for_dark_mode() {
        let svg = svg(&plot()).unwrap();
        let (style, drawing) = svg.split_once("</style>").unwrap();
        for attribute in ["fill=\"#", "stroke=\"#"] {
            for (at, found) in drawing.match_indices(attribute) {
                let color = &drawing[at..at + found.len() + 7];
                assert!(style.contains(&format!("[{color}]")), "{color} stays in dark mode");
            }
        }
    }

    #[test]
    fn a_plot_is_the_same_from_its_json() {
        let json = serde_json::to_string(&plot()).unwrap();
        assert_eq!(svg(&serde_json::from_str(&json).unwrap()).unwrap(), svg(&plot()).unwrap());
    }

    #[test]
    fn labels_are_numbers_as_people_write_them() {
        for (value, expected) in [(0.0, "0"), (0.5, "0.5"), (200.0, "200"), (20_000.0, "20,000")] {
            assert_eq!(label(value), expected);
        }
    }
}
