//! A row for each contender: bars with their spread, and distributions on a log axis.

use std::fmt::Write as _;

use super::super::html::escape;
use super::super::scale::Scale;
use super::{MARGIN, WIDTH, role_class};
use crate::number;
use crate::record::interval::middle;
use crate::record::{Contender, Metric, Part};

/// The height of a row: its name, and below it its mark.
const ROW: f64 = 32.0;

/// The height of the mark.
const BAR: f64 = 11.0;

/// Room for the axis below.
const AXIS: f64 = 20.0;

/// The grid and its figures, for so many rows.
fn axis(scale: &Scale, rows: usize) -> String {
    let bottom = ROW * rows as f64 + 4.0;
    let mut text = String::new();
    let marks = scale.marks();
    for (index, mark) in marks.iter().enumerate() {
        let x = scale.at(*mark);
        // The figures at the ends stay within the plot.
        let anchor = match index {
            0 => "",
            last if last + 1 == marks.len() => " end",
            _ => " middle",
        };
        let _ = write!(
            text,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{bottom:.1}\"/>\
             <text class=\"soft{anchor}\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
            bottom + 13.0,
            escape(&number::short(*mark))
        );
    }
    text
}

fn open(rows: usize, about: &str) -> String {
    let height = ROW * rows as f64 + AXIS;
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">",
        escape(about)
    )
}

/// The name of a row at the left and its figure at the right.
fn names(row: usize, name: &str, figure: &str) -> String {
    let y = ROW * row as f64 + 14.0;
    format!(
        "<text x=\"{MARGIN}\" y=\"{y:.1}\">{}</text><text class=\"end\" x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
        escape(name),
        WIDTH - MARGIN,
        escape(figure)
    )
}

/// One metric: the median as a bar, its spread as a line. Nothing when nobody has a figure.
pub(in super::super) fn bars(part: &Part, metric: &Metric) -> Option<String> {
    let rows: Vec<_> = part
        .plan
        .contenders
        .iter()
        .filter_map(|contender| Some((contender, part.summary(&contender.name, &metric.name)?)))
        .collect();
    let most = rows.iter().map(|(_, summary)| summary.max).reduce(f64::max)?;
    let scale = Scale::linear(most, MARGIN, WIDTH - MARGIN);
    let mut text = open(rows.len(), &metric.name) + &axis(&scale, rows.len());
    for (row, (contender, summary)) in rows.iter().enumerate() {
        text.push_str(&names(row, &contender.name, &number::figure(summary.median)));
        let y = ROW * row as f64 + 18.0;
        let [low, high] = summary.spread().map(|value| scale.at(value));
        let (start, end, middle) = (scale.at(0.0), scale.at(summary.median), y + BAR / 2.0);
        let _ = write!(
            text,
            "<rect class=\"mark {}\" x=\"{start:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>\
             <line class=\"whisker\" x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>",
            role_class(contender.role),
            (end - start).max(0.5),
        );
    }
    Some(text + "</svg>")
}

/// The quantiles of a distribution that are drawn.
#[derive(Debug, Clone, Copy)]
struct Drawn {
    least: f64,
    quarter: f64,
    half: f64,
    three_quarters: f64,
    p99: f64,
    p999: f64,
}

impl Drawn {
    /// Of a contender: the median over its repeats, quantile by quantile.
    fn of(part: &Part, contender: &Contender, name: &str) -> Option<Self> {
        let samples = || {
            let own = part
                .samples
                .iter()
                .filter(|sample| sample.contender == contender.name);
            own.filter_map(|sample| sample.distributions.get(name))
        };
        let at = |quantile: f64| {
            let points = samples().filter_map(|points| {
                let near = |point: &&[f64; 2]| (point[0] - quantile).abs() < 1e-9;
                Some(points.iter().find(near)?[1])
            });
            let mut points: Vec<f64> = points.collect();
            let found = middle(&mut points);
            found.is_finite().then_some(found)
        };
        Some(Self {
            least: at(0.01).or_else(|| at(0.0))?,
            quarter: at(0.25).or_else(|| at(0.5))?,
            half: at(0.5)?,
            three_quarters: at(0.75).or_else(|| at(0.9))?,
            p99: at(0.99)?,
            p999: at(0.999).or_else(|| at(1.0))?,
        })
    }
}

/// A distribution of latencies on a log axis. Nothing when nobody has one.
pub(in super::super) fn distribution(part: &Part, name: &str) -> Option<String> {
    let rows: Vec<(&Contender, Drawn)> = part
        .plan
        .contenders
        .iter()
        .filter_map(|contender| Some((contender, Drawn::of(part, contender, name)?)))
        .collect();
    // A latency of nothing has no place on a log axis.
    let above = |value: f64| if value > 0.0 { value } else { 1e-3 };
    let least = rows
        .iter()
        .map(|(_, drawn)| above(drawn.least))
        .reduce(f64::min)?;
    let most = rows.iter().map(|(_, drawn)| above(drawn.p999)).reduce(f64::max)?;
    let scale = Scale::log(least, most, MARGIN, WIDTH - MARGIN);
    let mut text = open(rows.len(), name) + &axis(&scale, rows.len());
    for (row, (contender, drawn)) in rows.iter().enumerate() {
        let figure = format!("{} / {}", number::figure(drawn.half), number::figure(drawn.p99));
        text.push_str(&names(row, &contender.name, &figure));
        let class = role_class(contender.role);
        let y = ROW * row as f64 + 18.0;
        let mut bar = |class: &str, from: f64, to: f64, inset: f64| {
            let (from, to) = (scale.at(from), scale.at(to));
            let _ = write!(
                text,
                "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                y + inset,
                (to - from).max(0.8),
                BAR - 2.0 * inset
            );
        };
        bar(&format!("mark thin {class}"), drawn.least, drawn.p999, 4.0);
        bar(&format!("mark {class}"), drawn.quarter, drawn.three_quarters, 1.0);
        for quantile in [drawn.half, drawn.p99] {
            let x = scale.at(quantile);
            let _ = write!(
                text,
                "<line class=\"whisker\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
                y - 1.0,
                y + BAR + 1.0
            );
        }
    }
    Some(text + "</svg>")
}
