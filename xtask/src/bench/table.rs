//! The table of a scenario: a row per contender, a column per metric.
//!
//! Three lines a cell: the median; the least and the most of the repeats; and, but for the baseline,
//! the ratio to the baseline with its own spread. Metrics that do not fit side by side go below.

use crate::claims::{Claimed, Verdict};
use crate::number;
use crate::record::interval::LEAST;
use crate::record::{Better, Metric, Part, Point, Record, Scenario};

/// The widest table when it does not go to a terminal.
const PAGE: usize = 120;

/// Two columns are never closer.
const GAP: usize = 2;

/// How wide a table may be.
pub(super) fn width() -> usize {
    let terminal = console::Term::stdout();
    if terminal.is_term() {
        usize::from(terminal.size().1).max(40)
    } else {
        PAGE
    }
}

/// The tables of all scenarios that have anything to show.
pub(super) fn print(record: &Record, width: usize) -> String {
    let mut text = String::new();
    for part in &record.scenarios {
        text.push_str(&section(part, record.quick, width));
        text.push('\n');
    }
    text
}

/// The report's claims and the gateway's bars, one below the other.
pub(super) fn claims(claimed: &[Claimed]) -> String {
    let mut lines = Vec::new();
    for (own, title, whose) in [
        (false, "the report's claims, by this run:", "the report"),
        (true, "the gateway's bars, by this run:", "the bar"),
    ] {
        lines.push(title.to_owned());
        for row in claimed.iter().filter(|row| row.own == own) {
            lines.push(format!("  {}: {}", row.name, row.verdict.words()));
            if !matches!(row.verdict, Verdict::NotMeasured(_)) {
                lines.push(format!("    {whose}: {}", row.text));
                lines.push(format!(
                    "    {}: {}; expected {}; best peer: {}",
                    row.place, row.naive, row.expected, row.peer
                ));
            }
        }
    }
    lines.join("\n") + "\n"
}

/// One scenario with all that belongs to it.
fn section(part: &Part, quick: bool, width: usize) -> String {
    let scenario = &part.plan;
    let mut lines = vec![format!("{}: {}", scenario.name, scenario.question)];
    if part.samples.is_empty() && part.failed.is_empty() {
        lines.push("  nothing was measured".to_owned());
        return lines.join("\n") + "\n";
    }
    let mut method = format!(
        "  median over {}, then (least .. most)",
        number::repeats(scenario.repeats)
    );
    if let Some(baseline) = &scenario.baseline {
        method.push_str(&format!(
            ", then × {baseline}, repeat by repeat, with its 95 % interval [low .. high] or, under {LEAST} repeats, \
             (least .. most)"
        ));
    }
    lines.push(method);
    if quick {
        lines.push("  a quick run: small sizes, figures only show that everything works".to_owned());
    }
    let complete = part.samples.len() as u64;
    if complete < scenario.steps {
        lines.push(format!(
            "  NOT WHOLE: {complete} of {} steps gave figures",
            scenario.steps
        ));
    }
    lines.push(String::new());
    lines.extend(grid(part, width));
    for metric in scenario.metrics.iter().filter(|metric| !metric.about.is_empty()) {
        lines.push(format!("  {}: {}", metric.name, metric.about));
    }
    for followed in &scenario.series {
        lines.push(format!(
            "  {} [{}]: {}",
            followed.name, followed.unit, followed.about
        ));
        lines.extend(curves(part, &followed.name));
    }
    lines.extend(part.notes.iter().map(|note| format!("  note: {}", note.text)));
    lines.extend(part.failed.iter().map(|failed| {
        format!(
            "  FAILED: {} #{}: {}",
            failed.contender,
            failed.repeat + 1,
            failed.error
        )
    }));
    lines.join("\n") + "\n"
}

/// A series over time: a line of blocks for each contender, of its first repeat, all to the same scale.
fn curves(part: &Part, name: &str) -> Vec<String> {
    let first = |contender: &str| {
        let sample = part.samples.iter().find(|sample| sample.contender == contender)?;
        sample.series.get(name)
    };
    let names = part.plan.contender_names();
    let all = || names.iter().filter_map(|name| first(name)).flatten();
    let most = all().map(|point| point[1]).fold(0.0, f64::max);
    let end = all().map(|point| point[0]).fold(0.0, f64::max);
    let widest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let line = |name: &&str| {
        let blocks = blocks(first(name)?, end, most);
        Some(format!("    {} |{blocks}|", pad(name, widest)))
    };
    let mut lines: Vec<String> = names.iter().filter_map(line).collect();
    lines.push(format!(
        "    0 to {} over {} ms",
        number::figure(most),
        number::figure(end)
    ));
    lines
}

/// Points as one line of blocks from nothing to `most`.
fn blocks(points: &[Point], end: f64, most: f64) -> String {
    const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const COLUMNS: usize = 60;
    let mut columns = [0.0_f64; COLUMNS];
    let mut last = 0.0;
    let mut points = points.iter().peekable();
    for (at, column) in columns.iter_mut().enumerate() {
        let until = end * (at + 1) as f64 / COLUMNS as f64;
        let mut highest: Option<f64> = None;
        while let Some(point) = points.next_if(|point| point[0] <= until) {
            highest = Some(highest.map_or(point[1], |so_far| so_far.max(point[1])));
            last = point[1];
        }
        // Nothing new: as it was.
        *column = highest.unwrap_or(last);
    }
    let block = |value: &f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 8")]
        let height = (value / most.max(f64::MIN_POSITIVE) * 8.0).ceil().clamp(0.0, 8.0) as usize;
        BLOCKS[height]
    };
    columns.iter().map(block).collect()
}

/// Names and figures, in as many blocks as the width asks for.
fn grid(part: &Part, width: usize) -> Vec<String> {
    let scenario = &part.plan;
    let names = Column::names(scenario);
    let mut blocks: Vec<Vec<Column>> = Vec::new();
    let mut used = 0;
    for metric in &scenario.metrics {
        let column = Column::figures(part, metric);
        let wanted = GAP + column.width();
        if blocks.is_empty() || used + wanted > width {
            blocks.push(Vec::new());
            used = names.width();
        }
        used += wanted;
        if let Some(block) = blocks.last_mut() {
            block.push(column);
        }
    }
    let mut lines = Vec::new();
    for block in &blocks {
        for index in 0..names.cells.len() {
            let mut line = pad(&names.cells[index], names.width());
            for column in block {
                line.push_str(&" ".repeat(GAP));
                line.push_str(&pad(&column.cells[index], column.width()));
            }
            // The baseline has no ratio, and who failed has no spread.
            if !line.trim().is_empty() {
                lines.push(line.trim_end().to_owned());
            }
        }
        lines.push(String::new());
    }
    lines
}

/// A column: its head, then three cells for each contender.
#[derive(Debug)]
struct Column {
    cells: Vec<String>,
}

impl Column {
    /// The contenders.
    fn names(scenario: &Scenario) -> Self {
        let mut cells = vec![String::new()];
        for contender in &scenario.contenders {
            cells.extend([contender.name.clone(), String::new(), String::new()]);
        }
        Self { cells }
    }

    /// The figures of one metric.
    fn figures(part: &Part, metric: &Metric) -> Self {
        let way = match metric.better {
            Better::Lower => " ↓",
            Better::Higher => " ↑",
            Better::Neither => "",
        };
        let unit = if metric.unit.is_empty() {
            String::new()
        } else {
            format!(" [{}]", metric.unit)
        };
        let mut cells = vec![format!("{}{unit}{way}", metric.name)];
        for contender in part.plan.contender_names() {
            let Some(summary) = part.summary(contender, &metric.name) else {
                cells.extend(["—".to_owned(), String::new(), String::new()]);
                continue;
            };
            cells.push(number::figure(summary.median));
            cells.push(format!(
                "({} .. {})",
                number::figure(summary.min),
                number::figure(summary.max)
            ));
            let ratio = part.ratio(contender, &metric.name).map(|ratio| {
                let [low, high] = ratio.spread().map(number::ratio);
                let median = number::ratio(ratio.median);
                match ratio.interval {
                    Some(_) => format!("×{median} [{low} .. {high}]"),
                    None => format!("×{median} ({low} .. {high})"),
                }
            });
            cells.push(ratio.unwrap_or_default());
        }
        Self { cells }
    }

    /// Its widest cell.
    fn width(&self) -> usize {
        self.cells
            .iter()
            .map(|cell| console::measure_text_width(cell))
            .max()
            .unwrap_or(0)
    }
}

/// Fills up with blanks.
fn pad(text: &str, width: usize) -> String {
    let blanks = width.saturating_sub(console::measure_text_width(text));
    format!("{text}{}", " ".repeat(blanks))
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::{LINES, after};
    use super::*;
    use crate::record::fixture;

    /// The run after so many lines.
    fn after_lines(lines: usize, quick: bool) -> Record {
        Record {
            quick,
            scenarios: after(lines).into_parts(),
            ..Record::default()
        }
    }

    #[test]
    fn a_cell_has_median_spread_and_ratio_with_its_spread() {
        let text = print(&after_lines(LINES.len(), false), 120);
        let expected = "\
io: How fast?
  median over 3 repeats, then (least .. most), then × raw-tokio, repeat by repeat, with its 95 % interval [low .. high] or, under 5 repeats, (least .. most)
  NOT WHOLE: 5 of 6 steps gave figures

           p50 [us] ↓              rate [1/s] ↑
evenkeel   8.5                     12 345
           (8 .. 9)                (12 345 .. 12 345)
           ×0.850 (0.800 .. 0.900)  ×1.029 (1.029 .. 1.029)
raw-tokio  10                      11 000
           (1 .. 10)               (10 000 .. 12 000)

  p50: half are faster
  note: only 500 connections: the limit on descriptors
  FAILED: evenkeel #3: refused
";
        let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeeze(&text), squeeze(expected), "{text}");
    }

    #[test]
    fn columns_stand_under_their_heads() {
        let text = print(&after_lines(LINES.len(), false), 120);
        let at = |line: &str, what: &str| line.find(what).map(|at| line[..at].chars().count());
        let head = text
            .lines()
            .find(|line| line.contains("rate [1/s]"))
            .expect("a head");
        let row = text
            .lines()
            .find(|line| line.starts_with("evenkeel"))
            .expect("a row");
        assert_eq!(at(head, "rate"), at(row, "12 345"));
        assert_eq!(at(head, "p50"), at(row, "8.5"));
    }

    #[test]
    fn a_narrow_terminal_gets_the_metrics_below_each_other() {
        let text = print(&after_lines(LINES.len(), false), 40);
        assert_eq!(
            text.lines().filter(|line| line.starts_with("raw-tokio")).count(),
            2
        );
        assert!(text.lines().filter(|line| line.starts_with(' ')).count() > 5);
    }

    #[test]
    fn nothing_measured_is_said_and_a_quick_run_is_marked() {
        assert!(print(&after_lines(1, false), 80).contains("nothing was measured"));
        assert!(print(&after_lines(LINES.len(), true), 80).contains("quick run"));
    }

    #[test]
    fn enough_repeats_give_an_interval_and_a_series_gives_a_line() {
        let text = print(&fixture::record(9.0), 120);
        assert!(text.contains("×0.900 [0.900 .. 0.900]"), "{text}");
        let line = text
            .lines()
            .find(|line| line.contains('|'))
            .expect("a line of blocks");
        assert!(
            line.contains("evenkeel") && line.contains('█') && line.contains('▂'),
            "{line}"
        );
    }
}
