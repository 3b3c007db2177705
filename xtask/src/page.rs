//! The report: one page that opens from disk. Its style and its plots are inside it; it has no script and fetches
//! nothing.

mod html;
mod plot;
mod scale;
mod tables;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use crate::claims::{Claimed, Side};
use crate::number;
use crate::record::{Better, Metric, Part, Record};
use html::{anchor, escape};

/// How it looks.
const STYLE: &str = include_str!("page/style.css");

/// The whole page.
pub(crate) fn render(record: &Record, claimed: &[Claimed]) -> String {
    let (micro, scenarios): (Vec<&Part>, Vec<&Part>) = record
        .scenarios
        .iter()
        .filter(|part| !part.samples.is_empty() || !part.failed.is_empty())
        .partition(|part| part.plan.name.starts_with("micro/"));
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>evenkeel: measured {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escape(&record.date)
    );
    text.push_str(&head(record, claimed, &scenarios, !micro.is_empty()));
    text.push_str(&tables::claims(claimed));
    for part in scenarios {
        text.push_str(&section(part));
    }
    if !micro.is_empty() {
        text.push_str("<h2 id=\"micro\">Hot paths by themselves</h2>\n");
        text.push_str(
            "<p class=\"soft\">Criterion's groups: nanoseconds for one operation. Contenders ran one after the other, \
             so small differences mean nothing here.</p>\n<div class=\"plots\">\n",
        );
        for part in micro {
            let title = part.plan.name.trim_start_matches("micro/");
            let bars = part
                .plan
                .metrics
                .first()
                .and_then(|metric| plot::bars(part, metric));
            text.push_str(&figure(title, bars, ""));
        }
        text.push_str("</div>\n");
    }
    text.push_str(&foot(record));
    text + "</main>\n</body>\n</html>\n"
}

/// What the run was, and in short what came of it.
fn head(record: &Record, claimed: &[Claimed], scenarios: &[&Part], micro: bool) -> String {
    let mut text = String::from("<h1>evenkeel, measured</h1>\n");
    let _ = writeln!(
        text,
        "<p>{}, {} s. <span class=\"soft\">{}{}</span></p>\n<p><code>{}</code></p>",
        escape(&record.date),
        number::figure(record.seconds),
        escape(&record.machine.line()),
        record
            .busy()
            .map_or(String::new(), |busy| format!("; {}", escape(&busy))),
        escape(&record.command)
    );
    if record.quick {
        text.push_str(
            "<p class=\"verdict open\">A quick run: small sizes; it shows that everything works, not what it can do.</p>\n",
        );
    }
    if let Some(error) = &record.error {
        let _ = writeln!(
            text,
            "<p class=\"verdict fails\">Not whole: {}</p>",
            escape(error)
        );
    }
    let report = || claimed.iter().filter(|row| !row.own);
    let count = |word: &str| report().filter(|row| row.verdict.word() == word).count();
    text.push_str("<div class=\"tiles\">\n");
    for (word, says) in [
        ("holds", "claims hold against the naive way"),
        ("fails", "do not hold against it"),
        ("open", "open: too wide a spread"),
        ("missing", "not measured"),
    ] {
        let _ = writeln!(
            text,
            "<div class=\"tile {word}\"><b>{}</b>{says}</div>",
            count(word)
        );
    }
    let sides = || report().filter_map(|row| row.peer_side);
    let _ = writeln!(
        text,
        "<div class=\"tile\"><b>{} / {}</b>of them better / worse than the best peer, of {}</div>",
        sides().filter(|side| *side == Side::Better).count(),
        sides().filter(|side| *side == Side::Worse).count(),
        sides().count()
    );
    let bars = || claimed.iter().filter(|row| row.own);
    let _ = writeln!(
        text,
        "<div class=\"tile\"><b>{} / {}</b>of the gateway's bars kept / not kept, of {}</div>",
        bars().filter(|row| row.verdict.word() == "holds").count(),
        bars().filter(|row| row.verdict.word() == "fails").count(),
        bars().count()
    );
    text.push_str("</div>\n<nav>");
    let links = scenarios
        .iter()
        .map(|part| part.plan.name.as_str())
        .chain(micro.then_some("micro"));
    for name in links {
        let _ = write!(text, "<a href=\"#{}\">{}</a>", anchor(name), escape(name));
    }
    text + "</nav>\n"
}

/// Versions, and how to read the plots.
fn foot(record: &Record) -> String {
    let versions = record
        .versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"));
    let versions: Vec<String> = versions.collect();
    format!(
        "<h2>Made with</h2>\n<p class=\"small soft\">{}</p>\n\
         <p class=\"small soft\">Bars are medians over the repeats; the line over a bar is the 95 % interval of the \
         median by order statistics, or the least and the most where there are fewer than five repeats. Distributions: \
         the thick box is the middle half, the thin one from the 1st to the 99.9th percentile, the two strokes the \
         median and the 99th. How it is measured stands in docs/performance.md.</p>\n",
        escape(&versions.join(", "))
    )
}

/// One scenario: question, plots, table, notes.
fn section(part: &Part) -> String {
    let plan = &part.plan;
    let mut text = format!(
        "<h2 id=\"{}\">{}</h2>\n<p>{}</p>\n<p class=\"small soft\">{}{}{}</p>\n<div class=\"plots\">\n",
        anchor(&plan.name),
        escape(&plan.name),
        escape(&plan.question),
        if plan.size.is_empty() {
            String::new()
        } else {
            format!("{}; ", escape(&plan.size.replace(',', ", ")))
        },
        number::repeats(plan.repeats),
        plan.baseline
            .as_ref()
            .map(|baseline| format!("; ratios to {}", escape(baseline)))
            .unwrap_or_default()
    );
    for name in distributions(part) {
        let metric = plan.metric(&format!("{name}_p50"));
        let unit = metric.map_or("", |metric| metric.unit.as_str());
        let title = format!("{name}: latency [{unit}], log axis; median / 99th percentile");
        let about = metric.map_or("", |metric| metric.about.as_str());
        text.push_str(&figure(&title, plot::distribution(part, name), about));
    }
    for metric in bars(part) {
        let title = format!("{}: {}{}", metric.name, metric.unit, better(metric));
        text.push_str(&figure(&title, plot::bars(part, metric), &metric.about));
    }
    for followed in &plan.series {
        let title = format!("{}: {} over time [ms]", followed.name, followed.unit);
        text.push_str(&figure(
            &title,
            plot::series(part, &followed.name),
            &followed.about,
        ));
    }
    for scaling in &plan.scaling {
        let title = format!("{} over {}", scaling.about, scaling.over);
        text.push_str(&figure(&title, plot::scaling(part, scaling), ""));
    }
    text.push_str("</div>\n");
    text.push_str(&tables::figures(part));
    text
}

/// Which way is good, in words.
fn better(metric: &Metric) -> &'static str {
    match metric.better {
        Better::Lower => ", less is better",
        Better::Higher => ", more is better",
        Better::Neither => "",
    }
}

/// The distributions that the samples have, by name.
fn distributions(part: &Part) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for name in part.samples.iter().flat_map(|sample| sample.distributions.keys()) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

/// The metrics to draw as bars: those the scenario names, or else its rates, or else its first.
fn bars(part: &Part) -> Vec<&Metric> {
    let metrics = &part.plan.metrics;
    let named: Vec<&Metric> = part
        .plan
        .bars
        .iter()
        .filter_map(|name| part.plan.metric(name))
        .collect();
    if !named.is_empty() {
        return named;
    }
    let rates: Vec<&Metric> = metrics.iter().filter(|metric| metric.unit == "1/s").collect();
    if rates.is_empty() {
        metrics.iter().take(1).collect()
    } else {
        rates
    }
}

/// A plot with its title and what it shows; nothing where there is nothing to draw.
fn figure(title: &str, plot: Option<String>, about: &str) -> String {
    let Some(plot) = plot else { return String::new() };
    let about = if about.is_empty() {
        String::new()
    } else {
        format!("<figcaption>{}</figcaption>", escape(about))
    };
    format!("<figure><h3>{}</h3>{plot}{about}</figure>\n", escape(title))
}
