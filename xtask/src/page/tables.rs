//! The tables: the claims, and the figures of a scenario.

use std::fmt::Write as _;

use super::better;
use super::html::escape;
use crate::claims::Claimed;
use crate::number;
use crate::record::Part;

/// The report's claims, and the gateway's bars.
pub(super) fn claims(claimed: &[Claimed]) -> String {
    let report = table(
        claimed,
        false,
        [
            "What the report expects",
            "the report",
            "against the naive way",
            "naive",
        ],
    );
    let bars = table(
        claimed,
        true,
        ["What the gateway is held to", "the bar", "measured", "measured"],
    );
    report + &bars
}

/// One of the two; on a phone each row is a card.
fn table(claimed: &[Claimed], own: bool, [title, what, against, naive]: [&str; 4]) -> String {
    let mut text = format!(
        "<h2>{title}</h2>\n<table class=\"claims\">\n<thead><tr><th>{what}</th><th>verdict</th>\
         <th>{against}</th><th>expected</th><th>against the best peer</th><th>measured by</th></tr></thead>\n<tbody>\n",
    );
    for row in claimed.iter().filter(|row| row.own == own) {
        let _ = write!(
            text,
            "<tr><td>{}</td><td class=\"verdict {}\">{}</td>",
            escape(&row.text),
            row.verdict.word(),
            escape(&row.verdict.words()),
        );
        for (label, cell) in [
            (naive, &row.naive),
            ("expected", &row.expected),
            ("best peer", &row.peer),
            ("by", &row.place),
        ] {
            // A phone shows no empty lines.
            let none = if cell == "—" { " class=\"none\"" } else { "" };
            let _ = write!(text, "<td data-label=\"{label}\"{none}>{}</td>", escape(cell));
        }
        text.push_str("</tr>\n");
    }
    text + "</tbody>\n</table>\n"
}

/// Every figure of a scenario, folded away, with what a reader must know.
pub(super) fn figures(part: &Part) -> String {
    let plan = &part.plan;
    let mut text = String::new();
    for note in &part.notes {
        let _ = writeln!(text, "<p class=\"small soft\">{}</p>", escape(&note.text));
    }
    for failed in &part.failed {
        let _ = writeln!(
            text,
            "<p class=\"small verdict fails\">{} #{} failed: {}</p>",
            escape(&failed.contender),
            failed.repeat + 1,
            escape(&failed.error)
        );
    }
    text.push_str("<details><summary>all figures, and who is who</summary>\n<ul class=\"small\">\n");
    for contender in &plan.contenders {
        let _ = writeln!(
            text,
            "<li><b>{}</b>: {}</li>",
            escape(&contender.name),
            escape(&contender.about)
        );
    }
    text.push_str("</ul>\n<div class=\"wide\"><table class=\"figures\">\n<thead><tr><th>metric</th>");
    for contender in &plan.contenders {
        let _ = write!(text, "<th>{}</th>", escape(&contender.name));
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for metric in &plan.metrics {
        let _ = write!(
            text,
            "<tr><td title=\"{}\">{}<span>{}{}</span></td>",
            escape(&metric.about),
            escape(&metric.name),
            escape(&metric.unit),
            better(metric)
        );
        for contender in &plan.contenders {
            let Some(summary) = part.summary(&contender.name, &metric.name) else {
                text.push_str("<td>—</td>");
                continue;
            };
            let [low, high] = summary.spread().map(number::figure);
            let ratio = part
                .ratio(&contender.name, &metric.name)
                .map_or(String::new(), |ratio| {
                    let [low, high] = ratio.spread().map(number::ratio);
                    format!("<span>×{} ({low} .. {high})</span>", number::ratio(ratio.median))
                });
            let _ = write!(
                text,
                "<td>{}<span>({low} .. {high})</span>{ratio}</td>",
                number::figure(summary.median)
            );
        }
        text.push_str("</tr>\n");
    }
    text + "</tbody>\n</table></div>\n</details>\n"
}
