//! Lines: what changed over time, and how a figure grows with a size.

use std::fmt::Write as _;

use super::super::html::escape;
use super::super::scale::Scale;
use super::{MARGIN, WIDTH};
use crate::number;
use crate::record::{Part, Point, Scaling};

/// The height of every plot of lines, its axes included.
const HEIGHT: f64 = 230.0;

/// Room for the figures at the left and below.
const LEFT: f64 = 46.0;
const BELOW: f64 = 22.0;
const ABOVE: f64 = 8.0;

/// Colours there are; after them the lines are dashed.
const COLOURS: usize = 8;

/// A line with its name.
struct Line {
    name: String,
    points: Vec<Point>,
}

/// The class of the `index`-th line.
fn class(index: usize) -> String {
    let later = if index >= COLOURS { " later" } else { "" };
    format!("s{}{later}", index % COLOURS)
}

/// Lines in one frame, and below it whose is which. Nothing without a point.
fn draw(lines: &[Line], about: &str) -> Option<String> {
    let all = || lines.iter().flat_map(|line| &line.points);
    let end = all().map(|point| point[0]).reduce(f64::max)?;
    let most = all().map(|point| point[1]).reduce(f64::max)?;
    let (right, bottom) = (WIDTH - MARGIN, HEIGHT - BELOW);
    let across = Scale::linear(end, LEFT, right);
    let up = Scale::linear(most, bottom, ABOVE);
    let mut text = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escape(about)
    );
    for mark in up.marks() {
        let y = up.at(mark);
        let _ = write!(
            text,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"soft end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT - 5.0,
            y + 4.0,
            escape(&number::short(mark))
        );
    }
    for mark in across.marks() {
        let _ = write!(
            text,
            "<text class=\"soft middle\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            across.at(mark).min(right - 10.0),
            HEIGHT - 6.0,
            escape(&number::short(mark))
        );
    }
    for (index, line) in lines
        .iter()
        .enumerate()
        .filter(|(_, line)| !line.points.is_empty())
    {
        let mut path = String::new();
        for (at, point) in line.points.iter().enumerate() {
            let step = if at == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{step}{:.1} {:.1}", across.at(point[0]), up.at(point[1]));
        }
        let _ = write!(text, "<path class=\"mark {}\" d=\"{path}\"/>", class(index));
    }
    text.push_str("</svg><div class=\"key\">");
    for (index, line) in lines
        .iter()
        .enumerate()
        .filter(|(_, line)| !line.points.is_empty())
    {
        let sign = if index >= COLOURS { "╍" } else { "━" };
        let _ = write!(
            text,
            "<span><b class=\"f{}\">{sign}</b> {}</span>",
            index % COLOURS,
            escape(&line.name)
        );
    }
    Some(text + "</div>")
}

/// A series over time: the first repeat of each contender.
pub(in super::super) fn series(part: &Part, name: &str) -> Option<String> {
    let first = |contender: &str| {
        let sample = part.samples.iter().find(|sample| sample.contender == contender)?;
        sample.series.get(name).cloned()
    };
    let names = part.plan.contender_names();
    let line = |name: &str| Line {
        name: name.to_owned(),
        points: first(name).unwrap_or_default(),
    };
    let lines: Vec<Line> = names.into_iter().map(line).collect();
    draw(&lines, name)
}

/// A figure over a size: medians.
pub(in super::super) fn scaling(part: &Part, scaling: &Scaling) -> Option<String> {
    let points = |contender: &str| {
        let point = |(size, metric): &(f64, String)| Some([*size, part.summary(contender, metric)?.median]);
        scaling.points.iter().filter_map(point).collect()
    };
    let names = part.plan.contender_names();
    let line = |name: &str| Line {
        name: name.to_owned(),
        points: points(name),
    };
    let lines: Vec<Line> = names.into_iter().map(line).collect();
    draw(&lines, &scaling.about)
}
