//! The loop that listens to the runner, and decides when it is not worth listening any longer.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::progress::Progress;
use super::protocol::{self, Event};
use super::results::{Results, Taken};

/// What reaches the loop.
#[derive(Debug)]
pub(super) enum Heard {
    /// A line on the runner's standard output.
    Line(String),
    /// A line on its standard error.
    Complaint(String),
}

/// What is seen on looking up from the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It runs.
    Running,
    /// The process is gone. A server that it left behind may hold its output open all the same, and
    /// then no end of file ever comes.
    Exited,
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

/// How long to wait for a word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// With nothing heard for so long, the runner hangs.
    pub(super) silence: Duration,
    /// How often to look whether it is still there.
    pub(super) poll: Duration,
}

/// Why the loop ended before the runner said it was done.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(super) enum Stop {
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// It hangs.
    #[error("the runner said nothing for {} s; the last it printed: {last}", .silence.as_secs_f64())]
    Silent {
        /// For so long.
        silence: Duration,
        /// The last line before.
        last: String,
    },
    /// It talks nonsense.
    #[error("the runner printed what is no event ({why}): {line}")]
    Nonsense {
        /// What is wrong with it.
        why: String,
        /// The line.
        line: String,
    },
    /// It ended too soon.
    #[error("the runner ended before it was done; the last it printed: {last}")]
    Ended {
        /// The last line before.
        last: String,
    },
    /// It said it was done, and then failed.
    #[error("the runner was done, but did not end well")]
    BadEnd,
}

/// How many complaints are kept for an error.
const KEPT: usize = 20;

/// The most of a line that is printed in an error.
const SHOWN: usize = 200;

/// Listens until the runner is done. `complaints` gets the end of its standard error.
///
/// # Errors
///
/// Why the runner is not listened to any longer. What it gave before is in `results`.
pub(super) fn drive(
    heard: &Receiver<Heard>,
    patience: Patience,
    look: &mut dyn FnMut() -> Seen,
    results: &mut Results,
    complaints: &mut Vec<String>,
    progress: &mut dyn Progress,
) -> Result<(), Stop> {
    let mut last: Option<String> = None;
    let mut silent = Duration::ZERO;
    let mut gone = false;
    let ended = |last: Option<String>| Stop::Ended {
        last: last.unwrap_or_else(|| "nothing".to_owned()),
    };
    loop {
        let seen = look();
        if seen == Seen::Interrupted {
            return Err(Stop::Interrupted);
        }
        match heard.recv_timeout(patience.poll) {
            Ok(Heard::Line(line)) => {
                silent = Duration::ZERO;
                if take(&line, results, progress)? {
                    return Ok(());
                }
                last = Some(short(&line));
            }
            Ok(Heard::Complaint(line)) => {
                silent = Duration::ZERO;
                progress.complaint(&line);
                keep(complaints, &line);
            }
            Err(RecvTimeoutError::Disconnected) => return Err(ended(last)),
            Err(RecvTimeoutError::Timeout) => {
                // Gone before the last wait as well: everything it printed has been read by now.
                if gone {
                    return Err(ended(last));
                }
                gone = seen == Seen::Exited;
                silent += patience.poll;
                if silent >= patience.silence {
                    let last = last.unwrap_or_else(|| "nothing".to_owned());
                    return Err(Stop::Silent {
                        silence: patience.silence,
                        last,
                    });
                }
            }
        }
    }
}

/// Takes in what an ended runner had still said: steps that were complete when it was stopped, and
/// complaints that came after its last line.
pub(super) fn rest(
    heard: &Receiver<Heard>,
    patience: Patience,
    results: &mut Results,
    complaints: &mut Vec<String>,
    progress: &mut dyn Progress,
) {
    while let Ok(one) = heard.recv_timeout(patience.poll) {
        match one {
            Heard::Complaint(line) => {
                progress.complaint(&line);
                keep(complaints, &line);
            }
            // The last line may be cut off in the middle.
            Heard::Line(line) => {
                if let Ok(event) = protocol::read(&line) {
                    results.take(&event);
                }
            }
        }
    }
}

/// Keeps the end of what was complained.
fn keep(complaints: &mut Vec<String>, line: &str) {
    if complaints.len() == KEPT {
        complaints.remove(0);
    }
    complaints.push(short(line));
}

/// Takes in one line; says whether it was the last.
fn take(line: &str, results: &mut Results, progress: &mut dyn Progress) -> Result<bool, Stop> {
    let nonsense = |why: String| Stop::Nonsense {
        why,
        line: short(line),
    };
    let event = protocol::read(line).map_err(|error| nonsense(error.to_string()))?;
    match results.take(&event) {
        Taken::Misfit(why) => return Err(nonsense(why)),
        Taken::Done => return Ok(true),
        Taken::More => {}
    }
    match &event {
        Event::Plan(plan) => progress.plan(plan),
        Event::Step(step) => progress.step(step),
        Event::Sample(sample) => progress.sample(sample),
        Event::Failed(failed) => progress.failed(failed),
        Event::Note(note) => progress.note(note),
        Event::Done => {}
    }
    Ok(false)
}

/// A line cut to what fits in an error.
fn short(line: &str) -> String {
    match line.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::progress::Silent;
    use super::super::results::tests::LINES;
    use super::*;

    /// Patience that does not make the test wait.
    const SHORT: Patience = Patience {
        silence: Duration::from_millis(20),
        poll: Duration::from_millis(1),
    };

    /// What comes of hearing this and then nothing more, with the output left open.
    fn hear(heard: Vec<Heard>, seen: Seen) -> (Result<(), Stop>, Results, Vec<String>) {
        let (sender, receiver) = mpsc::channel();
        for one in heard {
            sender.send(one).expect("the receiver is there");
        }
        let (mut results, mut complaints) = (Results::default(), Vec::new());
        let end = drive(
            &receiver,
            SHORT,
            &mut || seen,
            &mut results,
            &mut complaints,
            &mut Silent,
        );
        (end, results, complaints)
    }

    fn lines(count: usize) -> Vec<Heard> {
        LINES[..count]
            .iter()
            .map(|line| Heard::Line((*line).to_owned()))
            .collect()
    }

    #[test]
    fn a_run_that_is_done_is_whole() {
        let (end, results, _) = hear(lines(LINES.len()), Seen::Running);
        assert_eq!(end, Ok(()));
        assert_eq!(results.complete("io"), 5);
    }

    #[test]
    fn a_runner_that_hangs_keeps_what_it_gave() {
        let (end, results, _) = hear(lines(4), Seen::Running);
        let Err(Stop::Silent { last, .. }) = end else {
            panic!("{end:?}")
        };
        assert!(last.contains(r#""contender":"raw-tokio""#), "{last}");
        assert_eq!(results.complete("io"), 2);
    }

    #[test]
    fn a_runner_that_never_speaks_is_not_waited_for() {
        let (end, ..) = hear(Vec::new(), Seen::Running);
        assert_eq!(
            end,
            Err(Stop::Silent {
                silence: SHORT.silence,
                last: "nothing".to_owned()
            })
        );
    }

    #[test]
    fn a_runner_that_dies_keeps_what_it_gave_and_says_why() {
        let mut heard = lines(3);
        heard.extend((0..30).map(|n| Heard::Complaint(format!("complaint {n}"))));
        let (end, results, complaints) = hear(heard, Seen::Exited);
        assert!(matches!(end, Err(Stop::Ended { .. })), "{end:?}");
        assert_eq!(results.complete("io"), 1);
        assert_eq!((complaints.len(), complaints[0].as_str()), (KEPT, "complaint 10"));
    }

    #[test]
    fn a_dead_runner_whose_output_a_server_holds_open_is_not_taken_for_alive() {
        let (end, ..) = hear(lines(3), Seen::Exited);
        assert!(matches!(end, Err(Stop::Ended { .. })), "{end:?}");
    }

    #[test]
    fn nonsense_ends_the_run_and_is_shown() {
        for line in [
            "listening on 8080",
            r#"{"event":"note","scenario":"oi","text":""}"#,
            &"x".repeat(5000),
        ] {
            let mut heard = lines(4);
            heard.push(Heard::Line(line.to_owned()));
            heard.extend(lines(2));
            let (end, results, _) = hear(heard, Seen::Running);
            let Err(Stop::Nonsense { line: shown, .. }) = end else {
                panic!("{end:?}")
            };
            assert!(
                line.starts_with(shown.trim_end_matches('…')) && shown.len() < 300,
                "{shown}"
            );
            assert_eq!(results.complete("io"), 2);
        }
    }

    #[test]
    fn output_that_ends_is_not_waited_for() {
        let (sender, receiver) = mpsc::channel();
        drop(sender);
        let (mut results, mut complaints) = (Results::default(), Vec::new());
        let end = drive(
            &receiver,
            SHORT,
            &mut || Seen::Running,
            &mut results,
            &mut complaints,
            &mut Silent,
        );
        assert_eq!(
            end,
            Err(Stop::Ended {
                last: "nothing".to_owned()
            })
        );
    }

    #[test]
    fn ctrl_c_keeps_what_is_complete_and_is_seen_in_a_flood_of_lines() {
        let (sender, receiver) = mpsc::channel();
        for one in lines(LINES.len()) {
            sender.send(one).expect("the receiver is there");
        }
        let (mut results, mut complaints) = (Results::default(), Vec::new());
        let mut looks = 0;
        let mut look = || {
            looks += 1;
            if looks > 4 {
                Seen::Interrupted
            } else {
                Seen::Running
            }
        };
        let end = drive(
            &receiver,
            SHORT,
            &mut look,
            &mut results,
            &mut complaints,
            &mut Silent,
        );
        assert_eq!(end, Err(Stop::Interrupted));
        assert_eq!(results.complete("io"), 2);

        sender
            .send(Heard::Line(r#"{"event":"sample","scen"#.to_owned()))
            .expect("the receiver is there");
        drop(sender);
        rest(&receiver, SHORT, &mut results, &mut complaints, &mut Silent);
        assert_eq!(
            results.complete("io"),
            5,
            "what had been said already is not lost"
        );
    }
}
