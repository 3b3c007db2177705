//! The table of a scenario: a row per contender, a column per metric.
//!
//! Three lines a cell: the median; the least and the most of the repeats; and, but for the baseline,
//! the ratio to the baseline with its own spread. Metrics that do not fit side by side go below.

use super::number;
use super::protocol::{Better, Metric, Scenario};
use super::results::Results;

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
pub(super) fn print(results: &Results, quick: bool, width: usize) -> String {
    let mut text = String::new();
    for scenario in &results.plan.scenarios {
        text.push_str(&section(results, scenario, quick, width));
        text.push('\n');
    }
    text
}

/// One scenario with all that belongs to it.
fn section(results: &Results, scenario: &Scenario, quick: bool, width: usize) -> String {
    let name = &scenario.name;
    let mut lines = vec![format!("{name}: {}", scenario.question)];
    let complete = results.complete(name);
    let failed: Vec<_> = results
        .failed
        .iter()
        .filter(|failed| failed.scenario == *name)
        .collect();
    if complete == 0 && failed.is_empty() {
        lines.push("  nothing was measured".to_owned());
        return lines.join("\n") + "\n";
    }
    let mut method = format!("  median over {} repeats, then (least .. most)", scenario.repeats);
    if let Some(baseline) = &scenario.baseline {
        method.push_str(&format!(", then × {baseline}, repeat by repeat (least .. most)"));
    }
    lines.push(method);
    if quick {
        lines.push("  a quick run: small sizes, figures only show that everything works".to_owned());
    }
    if (complete as u64) < scenario.steps {
        lines.push(format!(
            "  NOT WHOLE: {complete} of {} steps gave figures",
            scenario.steps
        ));
    }
    lines.push(String::new());
    lines.extend(grid(results, scenario, width));
    for metric in scenario.metrics.iter().filter(|metric| !metric.about.is_empty()) {
        lines.push(format!("  {}: {}", metric.name, metric.about));
    }
    let notes = results.notes.iter().filter(|note| note.scenario == *name);
    lines.extend(notes.map(|note| format!("  note: {}", note.text)));
    lines.extend(failed.iter().map(|failed| {
        format!(
            "  FAILED: {} #{}: {}",
            failed.contender,
            failed.repeat + 1,
            failed.error
        )
    }));
    lines.join("\n") + "\n"
}

/// Names and figures, in as many blocks as the width asks for.
fn grid(results: &Results, scenario: &Scenario, width: usize) -> Vec<String> {
    let names = Column::names(scenario);
    let mut blocks: Vec<Vec<Column>> = Vec::new();
    let mut used = 0;
    for metric in &scenario.metrics {
        let column = Column::figures(results, scenario, metric);
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
            cells.extend([contender.clone(), String::new(), String::new()]);
        }
        Self { cells }
    }

    /// The figures of one metric.
    fn figures(results: &Results, scenario: &Scenario, metric: &Metric) -> Self {
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
        for contender in &scenario.contenders {
            let Some(summary) = results.summary(&scenario.name, contender, &metric.name) else {
                cells.extend(["—".to_owned(), String::new(), String::new()]);
                continue;
            };
            cells.push(number::figure(summary.median));
            cells.push(format!(
                "({} .. {})",
                number::figure(summary.min),
                number::figure(summary.max)
            ));
            cells.push(
                results
                    .ratio(scenario, contender, &metric.name)
                    .map_or(String::new(), |ratio| {
                        let [median, min, max] = [ratio.median, ratio.min, ratio.max].map(number::ratio);
                        format!("×{median} ({min} .. {max})")
                    }),
            );
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

    #[test]
    fn a_cell_has_median_spread_and_ratio_with_its_spread() {
        let text = print(&after(LINES.len()), false, 120);
        let expected = "\
io: How fast?
  median over 3 repeats, then (least .. most), then × raw-tokio, repeat by repeat (least .. most)
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
        let text = print(&after(LINES.len()), false, 120);
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
        let text = print(&after(LINES.len()), false, 40);
        assert_eq!(
            text.lines().filter(|line| line.starts_with("raw-tokio")).count(),
            2
        );
        assert!(text.lines().filter(|line| line.starts_with(' ')).count() > 5);
    }

    #[test]
    fn nothing_measured_is_said_and_a_quick_run_is_marked() {
        assert!(print(&after(1), false, 80).contains("nothing was measured"));
        assert!(print(&after(LINES.len()), true, 80).contains("quick run"));
    }
}
