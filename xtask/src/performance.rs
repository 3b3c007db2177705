//! `docs/performance.md`: what the last recorded run measured. Made by `cargo xtask bench --record`, never typed.

use std::fmt::Write as _;
use std::path::Path;

use crate::claims::Claimed;
use crate::icount::{self, Stored};
use crate::number;
use crate::record::{Better, Part, Record, file};

/// The page, from the root.
const PAGE: &str = "docs/performance.md";

/// What does not come from a run.
const METHOD: &str = include_str!("performance/method.md");

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// The page.
    #[error(transparent)]
    File(#[from] file::Error),
    /// The stored counts of instructions.
    #[error(transparent)]
    Counts(#[from] icount::Error),
}

/// Writes the page.
pub(crate) fn write(root: &Path, record: &Record, claimed: &[Claimed]) -> Result<(), Error> {
    let counts = Stored::read(root)?;
    file::write(&root.join(PAGE), &page(record, claimed, counts.as_ref()))?;
    Ok(())
}

fn page(record: &Record, claimed: &[Claimed], counts: Option<&Stored>) -> String {
    let versions = record
        .versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"));
    let versions: Vec<String> = versions.collect();
    let mut text = format!(
        "# Performance\n\n\
         Written by `cargo xtask bench --record`; not by hand. The run: `{}`, {}, {} s, on {}{}.\n\
         With {}.\n\n\
         `cargo xtask bench --report DIR` makes the same with plots, on your machine.\n\n",
        record.command,
        record.date,
        number::figure(record.seconds),
        record.machine.line(),
        record.busy().map_or(String::new(), |busy| format!("; {busy}")),
        versions.join(", ")
    );
    text.push_str("## What the report expects, and what was measured\n\n");
    text.push_str(&claims(claimed, false, ["claim", "against the naive way"]));
    text.push_str("\n## What the gateway is held to\n\n");
    text.push_str(
        "No claim of the report: bars that the project sets itself, beside what is in a gateway's place today. A bar of \
         *at most* a figure holds if every repeat keeps it.\n\n",
    );
    text.push_str(&claims(claimed, true, ["bar", "measured"]));
    text.push('\n');
    text.push_str(METHOD);
    text.push_str("\n## Scenarios\n\n");
    text.push_str("Medians; in brackets the ratio to the baseline with its interval.\n\n");
    let (micro, scenarios): (Vec<&Part>, Vec<&Part>) = record
        .scenarios
        .iter()
        .partition(|part| part.plan.name.starts_with("micro/"));
    for part in scenarios {
        text.push_str(&scenario(part));
    }
    if !micro.is_empty() {
        text.push_str("## Hot paths by themselves (`cargo xtask bench micro`)\n\n");
        text.push_str(
            "Nanoseconds, median of criterion's samples. Contenders ran one after the other, so small differences \
             mean nothing here.\n\n",
        );
        for part in micro {
            text.push_str(&group(part));
        }
    }
    if let Some(counts) = counts {
        text.push_str(&instructions(counts));
    }
    text
}

/// The claims, or the bars of our own, as a table.
fn claims(claimed: &[Claimed], own: bool, [what, measured]: [&str; 2]) -> String {
    let mut text = format!(
        "| {what} | expected | {measured} | against the best peer | scenario | verdict |\n|---|---|---|---|---|---|\n",
    );
    for row in claimed.iter().filter(|row| row.own == own) {
        let cells = [
            &row.text,
            &row.expected,
            &row.naive,
            &row.peer,
            &row.place,
            &row.verdict.words(),
        ];
        let cells: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
        // Writing to a string does not fail.
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

/// A scenario: a row for each metric, for a page is longer than it is wide.
fn scenario(part: &Part) -> String {
    let plan = &part.plan;
    let mut text = format!(
        "### `{}`\n\n{} Size: {}; {}",
        plan.name,
        plan.question,
        plan.size.replace(',', ", "),
        number::repeats(plan.repeats)
    );
    match &plan.baseline {
        Some(baseline) => {
            let _ = writeln!(text, "; ratios to {baseline}.\n");
        }
        None => text.push_str(".\n\n"),
    }
    let names = plan.contender_names();
    let _ = writeln!(
        text,
        "| | {} |\n|---|{}",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    for metric in &plan.metrics {
        let way = match metric.better {
            Better::Lower => " ↓",
            Better::Higher => " ↑",
            Better::Neither => "",
        };
        let cell = |contender: &&str| {
            let Some(summary) = part.summary(contender, &metric.name) else {
                return "—".to_owned();
            };
            let ratio = part
                .ratio(contender, &metric.name)
                .map_or(String::new(), |ratio| {
                    let [low, high] = ratio.spread().map(number::ratio);
                    format!(" (×{}, {low} .. {high})", number::ratio(ratio.median))
                });
            format!("{}{ratio}", number::figure(summary.median))
        };
        let cells: Vec<String> = names.iter().map(cell).collect();
        let _ = writeln!(
            text,
            "| {} [{}]{way} | {} |",
            metric.name,
            metric.unit,
            cells.join(" | ")
        );
    }
    text.push('\n');
    for note in &part.notes {
        let _ = writeln!(text, "- {}", note.text);
    }
    if !part.notes.is_empty() {
        text.push('\n');
    }
    text
}

/// A group of criterion's, in a line.
fn group(part: &Part) -> String {
    let figure = |contender: &&str| {
        let metric = &part.plan.metrics.first()?.name;
        let summary = part.summary(contender, metric)?;
        Some(format!("{contender} {}", number::figure(summary.median)))
    };
    let names = part.plan.contender_names();
    let figures: Vec<String> = names.iter().filter_map(figure).collect();
    format!(
        "- `{}`: {}\n",
        part.plan.name.trim_start_matches("micro/"),
        figures.join(", ")
    )
}

/// The stored counts.
fn instructions(counts: &Stored) -> String {
    let mut text = format!(
        "\n## Instructions (`cargo xtask icount`)\n\n\
         Counted by callgrind for one operation; they repeat, so `cargo xtask icount --check` fails when one of ours \
         grows by over 5 % (and over 8 instructions). Built with {}. They leave out waiting for memory and for other threads.\n\n\
         | operation | instructions |\n|---|---|\n",
        counts.rustc
    );
    for (name, count) in &counts.counts {
        let _ = writeln!(text, "| {name} | {} |", number::figure(*count));
    }
    text
}

/// A cell that does not end the cell.
fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims;
    use crate::record::fixture::record;

    #[test]
    fn the_page_says_how_it_was_made_and_has_every_table() {
        let counts = Stored {
            rustc: "rustc 1.95.0".to_owned(),
            counts: [("pool/checkout/evenkeel".to_owned(), 500.0)].into(),
        };
        let record = record(9.0);
        let claimed = claims::judge(&claims::all().expect("in order"), &record);
        let page = page(&record, &claimed, Some(&counts));
        for part in [
            "`cargo xtask bench`, 2026-11-23T17:00:00Z, 12 s",
            "linux; load 0.25 at the begin, 3.5 at the end, on 2 cores.",
            "With tokio 1.47.0.",
            "| claim | expected |",
            "| bar | expected |",
            "not measured: `gateway-kill` did not run",
            "not measured: `pool` did not run",
            "## How it is measured",
            "### `io`",
            "| wait_p50 [us] ↓ | 9.09 (×0.900, 0.900 .. 0.900) | 10.1 | 101 (×10, 10 .. 10)",
            "- fewer & faster",
            "| pool/checkout/evenkeel | 500 |",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
        assert!(!page.contains(&std::env::temp_dir().display().to_string()));
    }

    #[test]
    fn every_row_of_a_table_has_as_many_cells_as_its_head() {
        let record = record(9.0);
        let claimed = claims::judge(&claims::all().expect("in order"), &record);
        let page = page(&record, &claimed, None);
        let mut cells = 0;
        for line in page.lines() {
            let now = line.replace("\\|", "").matches('|').count();
            assert!(now == 0 || cells == 0 || now == cells, "{line}");
            cells = now;
        }
    }

    #[test]
    fn a_full_disk_is_an_error() {
        assert!(write(Path::new("/nonexistent"), &record(9.0), &[]).is_err());
    }
}
