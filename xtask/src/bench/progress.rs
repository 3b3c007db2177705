//! Telling whoever waits how far it is: bars on a terminal, lines elsewhere.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::pace::Pace;
use super::protocol::{Plan, Step};
use crate::record::{Failed, Note, Sample};
use crate::say;
use crate::stopwatch::Stopwatch;

/// What is told on the way.
pub(super) trait Progress {
    /// What is going to be run.
    fn plan(&mut self, _: &Plan) {}
    /// A step begins.
    fn step(&mut self, _: &Step) {}
    /// A step ended with figures.
    fn sample(&mut self, _: &Sample) {}
    /// A step ended without.
    fn failed(&mut self, _: &Failed) {}
    /// Something a reader must know.
    fn note(&mut self, _: &Note) {}
    /// A line on the runner's standard error.
    fn complaint(&mut self, _: &str) {}
    /// It is over.
    fn end(&mut self) {}
}

/// Tells nothing.
#[derive(Debug)]
pub(super) struct Silent;

impl Progress for Silent {}

/// What suits standard error.
pub(super) fn fitting() -> Box<dyn Progress> {
    if std::io::stderr().is_terminal() {
        Box::new(Bars::default())
    } else {
        Box::new(Lines::default())
    }
}

/// A bar per scenario, and one for all of them.
#[derive(Debug, Default)]
struct Bars {
    all: MultiProgress,
    bars: Vec<(String, ProgressBar)>,
    total: Option<ProgressBar>,
    pace: Pace,
    since: Stopwatch,
}

impl Bars {
    fn bar(&self, scenario: &str) -> Option<&ProgressBar> {
        self.bars
            .iter()
            .find(|(name, _)| name == scenario)
            .map(|(_, bar)| bar)
    }

    fn print(&self, line: &str) {
        // A terminal that went away has nobody in front of it.
        let _ = self.all.println(line);
    }

    fn advance(&mut self, scenario: &str) {
        self.pace.done(scenario, self.since.seconds());
        if let Some(total) = &self.total {
            total.inc(1);
            total.set_message(self.pace.words());
        }
        let Some(bar) = self.bar(scenario) else { return };
        bar.inc(1);
        if bar.length().is_some_and(|length| bar.position() >= length) {
            bar.finish_with_message("done");
        }
    }
}

impl Progress for Bars {
    fn plan(&mut self, plan: &Plan) {
        let width = plan
            .scenarios
            .iter()
            .map(|scenario| scenario.name.chars().count())
            .max()
            .unwrap_or(0);
        let template =
            format!("{{prefix:{width}}} {{bar:24}} {{pos:>4}}/{{len}} {{elapsed:>4}}  {{wide_msg}}");
        for scenario in &plan.scenarios {
            let bar = self.all.add(ProgressBar::new(scenario.steps));
            if let Ok(style) = ProgressStyle::with_template(&template) {
                bar.set_style(style.progress_chars("━╸ "));
            }
            bar.set_prefix(scenario.name.clone());
            self.bars.push((scenario.name.clone(), bar));
        }
        let steps = plan.scenarios.iter().map(|scenario| scenario.steps).sum();
        let total = self.all.add(ProgressBar::new(steps));
        if let Ok(style) = ProgressStyle::with_template(&template) {
            total.set_style(style.progress_chars("━╸ "));
        }
        total.set_prefix("all");
        total.enable_steady_tick(Duration::from_millis(250));
        self.total = Some(total);
        self.pace = Pace::of(plan);
        self.since = Stopwatch::default();
    }

    fn step(&mut self, step: &Step) {
        let Some(bar) = self.bar(&step.scenario) else {
            return;
        };
        if bar.position() == 0 {
            // The clock of a bar runs from its making; this scenario begins now.
            bar.reset();
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        bar.set_message(format!("{} #{} {}", step.contender, step.repeat + 1, step.about));
    }

    fn sample(&mut self, sample: &Sample) {
        self.advance(&sample.scenario);
    }

    fn failed(&mut self, failed: &Failed) {
        self.print(&failed_line(failed));
        self.advance(&failed.scenario);
    }

    fn note(&mut self, note: &Note) {
        self.print(&note_line(note));
    }

    fn complaint(&mut self, line: &str) {
        self.print(line);
    }

    fn end(&mut self) {
        for (_, bar) in &self.bars {
            bar.disable_steady_tick();
            if !bar.is_finished() {
                bar.abandon();
            }
        }
        if let Some(total) = &self.total {
            total.disable_steady_tick();
            total.abandon_with_message(String::new());
        }
    }
}

/// A line per step.
#[derive(Debug, Default)]
struct Lines {
    steps: Vec<(String, u64, u64)>,
    pace: Pace,
    since: Stopwatch,
}

impl Progress for Lines {
    fn plan(&mut self, plan: &Plan) {
        self.steps = plan
            .scenarios
            .iter()
            .map(|scenario| (scenario.name.clone(), 0, scenario.steps))
            .collect();
        self.pace = Pace::of(plan);
        self.since = Stopwatch::default();
    }

    fn step(&mut self, step: &Step) {
        let counted = self.steps.iter_mut().find(|(name, ..)| *name == step.scenario);
        let at = counted.map_or(String::new(), |(_, done, all)| {
            *done += 1;
            format!(" {done}/{all}")
        });
        let Step {
            scenario,
            contender,
            repeat,
            ..
        } = step;
        let left = self.pace.words();
        say::err(&format!("{scenario}{at}: {contender} #{} ({left})", repeat + 1));
    }

    fn sample(&mut self, sample: &Sample) {
        self.pace.done(&sample.scenario, self.since.seconds());
    }

    fn failed(&mut self, failed: &Failed) {
        self.pace.done(&failed.scenario, self.since.seconds());
        say::err(&failed_line(failed));
    }

    fn note(&mut self, note: &Note) {
        say::err(&note_line(note));
    }

    fn complaint(&mut self, line: &str) {
        say::err(line);
    }
}

/// A failure in a line.
fn failed_line(failed: &Failed) -> String {
    let Failed {
        scenario,
        contender,
        repeat,
        error,
    } = failed;
    format!("{scenario}: {contender} #{} FAILED: {error}", repeat + 1)
}

/// A note in a line.
fn note_line(note: &Note) -> String {
    format!("{}: note: {}", note.scenario, note.text)
}
