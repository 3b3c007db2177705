//! Ratios that one run showed on one side of 1, beyond doubt, and the other on the other: whoever believed the
//! first was misled. A good interval leaves none, or next to none.

use std::fmt::Write as _;

use crate::number;
use crate::record::statistics::Summary;
use crate::record::{Better, Part, Record};

/// Ratios to the baseline, as two runs showed them.
#[derive(Debug, Default)]
pub(super) struct Across {
    /// Those that the first run showed on one side by their whole interval.
    shown: usize,
    /// Those of them that were on the other side in the second.
    crossed: Vec<Crossed>,
}

#[derive(Debug)]
struct Crossed {
    figure: String,
    first: Summary,
    second: Summary,
}

impl Across {
    /// Of every ratio that both have.
    pub(super) fn of(first: &Record, second: &Record) -> Self {
        let mut found = Self::default();
        for part in &first.scenarios {
            if let Some(again) = second.part(&part.plan.name) {
                found.part(part, again);
            }
        }
        found
    }

    fn part(&mut self, first: &Part, second: &Part) {
        if first.plan.size != second.plan.size || first.plan.baseline != second.plan.baseline {
            return;
        }
        for contender in &first.plan.contenders {
            // What has no better tells nobody apart.
            let metrics = first.plan.metrics.iter();
            for metric in metrics.filter(|metric| metric.better != Better::Neither) {
                let ratio = |part: &Part| part.ratio(&contender.name, &metric.name);
                let (Some(before), Some(after)) = (ratio(first), ratio(second)) else {
                    continue;
                };
                let Some([low, high]) = before.interval.filter(|[low, high]| *low > 1.0 || *high < 1.0)
                else {
                    continue;
                };
                self.shown += 1;
                if (low > 1.0 && after.median < 1.0) || (high < 1.0 && after.median > 1.0) {
                    self.crossed.push(Crossed {
                        figure: format!("{} {} {}", first.plan.name, contender.name, metric.name),
                        first: before,
                        second: after,
                    });
                }
            }
        }
    }

    /// As markdown; nothing if there was no ratio to look at.
    pub(super) fn markdown(&self) -> String {
        let mut text = String::new();
        if self.shown == 0 {
            return text;
        }
        if !self.crossed.is_empty() {
            text.push_str("## Across 1\n\n| figure | first run | second run |\n|---|---|---|\n");
        }
        for Crossed {
            figure,
            first,
            second,
        } in &self.crossed
        {
            let (first, second) = (ratio(first), ratio(second));
            // Writing to a string does not fail.
            let _ = writeln!(text, "| {figure} | {first} | {second} |");
        }
        if !self.crossed.is_empty() {
            text.push('\n');
        }
        let (crossed, shown) = (self.crossed.len(), self.shown);
        let _ = writeln!(
            text,
            "Of {shown} ratios that the first run showed on one side of 1 by their whole interval, {crossed} were on the \
             other in the second."
        );
        text
    }
}

fn ratio(summary: &Summary) -> String {
    let [low, high] = summary.spread().map(number::ratio);
    format!("×{} ({low} .. {high})", number::ratio(summary.median))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture::record;

    #[test]
    fn a_ratio_that_changed_sides_is_named() {
        let across = Across::of(&record(9.0), &record(12.0));
        let figures: Vec<&str> = across.crossed.iter().map(|one| one.figure.as_str()).collect();
        assert!(figures.contains(&"io evenkeel wait_p50"), "{figures:?}");
        let text = across.markdown();
        assert!(text.starts_with("## Across 1"), "{text}");
        assert!(
            text.contains("| io evenkeel wait_p50 | ×0.900 (0.900 .. 0.900) | ×1.200 "),
            "{text}"
        );
    }

    #[test]
    fn what_stays_on_its_side_or_was_open_is_not() {
        let across = Across::of(&record(9.0), &record(9.5));
        assert!(across.shown > 0 && across.crossed.is_empty(), "{across:?}");
        assert!(across.markdown().contains("0 were on the other"));
        let mut other = record(12.0);
        other.scenarios[0].plan.size = "connections=5".to_owned();
        assert_eq!(
            Across::of(&record(9.0), &other).shown,
            0,
            "another size is another figure"
        );
        assert_eq!(Across::default().markdown(), "");
    }
}
