//! The runner as a process: started apart, listened to by line, and ended with all it started.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use super::drive::Heard;

/// The longest line that is read whole. A runner gone mad must not fill the memory.
const LONGEST: u64 = 1 << 20;

/// How often to look whether it has ended.
const LOOK: Duration = Duration::from_millis(20);

/// How many looks it has to end by itself once it is done: 5 s.
const LOOKS_TO_FINISH: u32 = 250;

/// How many looks it has after being asked to end, before it is made to: 2 s.
const LOOKS_TO_STOP: u32 = 100;

/// What can keep it from starting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum Error {
    /// No such program, or not allowed.
    #[error("cannot start the runner `{program}`: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
}

/// The running runner.
#[derive(Debug)]
pub(super) struct Child {
    process: std::process::Child,
    status: Option<ExitStatus>,
}

/// How it ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// With success, and by itself.
    pub(super) fine: bool,
    /// In words.
    pub(super) text: String,
}

impl Child {
    /// Starts it in a process group of its own, so that one signal reaches the servers it starts too,
    /// and Ctrl-C reaches it only through us.
    pub(super) fn start(command: &mut Command) -> Result<(Self, Receiver<Heard>), Error> {
        let (sender, receiver) = mpsc::channel();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let mut process = command.spawn().map_err(|source| Error::Start {
            program: command.get_program().to_string_lossy().into_owned(),
            source,
        })?;
        if let Some(output) = process.stderr.take() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                read_lines(output, |line| sender.send(Heard::Complaint(line)).is_ok());
            });
        }
        if let Some(output) = process.stdout.take() {
            std::thread::spawn(move || read_lines(output, |line| sender.send(Heard::Line(line)).is_ok()));
        }
        Ok((
            Self {
                process,
                status: None,
            },
            receiver,
        ))
    }

    /// Whether it has ended.
    pub(super) fn has_exited(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.process.try_wait().ok().flatten();
        }
        self.status.is_some()
    }

    /// Waits for it to end by itself, a while, then ends it and whatever it left behind.
    pub(super) fn finish(&mut self) -> Ended {
        let by_itself = self.looks(LOOKS_TO_FINISH);
        let ended = self.stop();
        if by_itself {
            ended
        } else {
            Ended {
                fine: false,
                text: format!("{} (it did not end by itself)", ended.text),
            }
        }
    }

    /// Ends it and everything it started: asked first, made to after a while.
    pub(super) fn stop(&mut self) -> Ended {
        let by_itself = self.has_exited();
        self.signal(false);
        self.looks(LOOKS_TO_STOP);
        self.signal(true);
        if self.status.is_none() {
            self.status = self.process.wait().ok();
        }
        let status = self
            .status
            .map_or("an unknown status".to_owned(), |status| status.to_string());
        let fine = by_itself && self.status.is_some_and(|status| status.success());
        Ended {
            fine,
            text: if by_itself {
                status
            } else {
                format!("{status}, when told to stop")
            },
        }
    }

    /// Looks up to `times` times whether it has ended.
    fn looks(&mut self, times: u32) -> bool {
        for _ in 0..times {
            if self.has_exited() {
                return true;
            }
            // No runtime here whose worker this could block.
            #[expect(
                clippy::disallowed_methods,
                reason = "a process is waited for, on a thread of our own"
            )]
            std::thread::sleep(LOOK);
        }
        self.has_exited()
    }

    /// Tells the whole group to end, or makes it.
    #[cfg(unix)]
    fn signal(&mut self, force: bool) {
        use nix::sys::signal::{Signal, killpg};
        use nix::unistd::Pid;

        let signal = if force { Signal::SIGKILL } else { Signal::SIGTERM };
        if let Ok(group) = i32::try_from(self.process.id()) {
            // Nobody left in the group is what we want.
            let _ = killpg(Pid::from_raw(group), signal);
        }
    }

    /// Ends the process; the system has no groups that std knows of.
    #[cfg(not(unix))]
    fn signal(&mut self, _force: bool) {
        let _ = self.process.kill();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.has_exited() {
            self.signal(true);
        }
    }
}

/// Hands on line after line until the end, an error, or nobody wants more.
fn read_lines(output: impl Read, mut wanted: impl FnMut(String) -> bool) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        match output.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                if !wanted(text.trim_end().to_owned()) {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::sync::mpsc::RecvTimeoutError;

    use super::*;

    fn shell(script: &str) -> (Child, Receiver<Heard>) {
        Child::start(Command::new("sh").args(["-c", script])).expect("there is a shell")
    }

    #[test]
    fn both_outputs_are_heard_and_end() {
        let (mut child, heard) = shell("echo one; echo two >&2; printf three");
        let mut all: Vec<String> = heard.iter().map(|heard| format!("{heard:?}")).collect();
        all.sort_unstable();
        assert_eq!(all, [r#"Complaint("two")"#, r#"Line("one")"#, r#"Line("three")"#]);
        assert!(child.finish().fine);
    }

    #[test]
    fn a_status_that_is_not_zero_is_not_fine() {
        let (mut child, heard) = shell("exit 3");
        assert_eq!(heard.iter().count(), 0);
        let ended = child.finish();
        assert!(!ended.fine && ended.text.contains('3'), "{ended:?}");
    }

    #[test]
    fn a_runner_that_will_not_end_is_made_to_with_all_it_started() {
        let (mut child, heard) = shell("trap '' TERM; sleep 1000 & echo up; while :; do sleep 1000; done");
        assert!(matches!(heard.recv(), Ok(Heard::Line(line)) if line == "up"));
        let ended = child.stop();
        assert!(!ended.fine && ended.text.contains("signal: 9"), "{ended:?}");
        // The pipe ends only when the last process that holds it is gone.
        assert_eq!(
            heard.recv_timeout(Duration::from_secs(60)).err(),
            Some(RecvTimeoutError::Disconnected)
        );
    }

    #[test]
    fn servers_left_behind_are_ended_too() {
        let (mut child, heard) = shell("sleep 1000 & echo up");
        assert!(matches!(heard.recv(), Ok(Heard::Line(_))));
        assert!(child.finish().fine);
        assert_eq!(
            heard.recv_timeout(Duration::from_secs(60)).err(),
            Some(RecvTimeoutError::Disconnected)
        );
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let long = vec![b'x'; 3 * (1 << 20)];
        let mut lengths = Vec::new();
        read_lines(long.as_slice(), |line| {
            lengths.push(line.len());
            true
        });
        assert_eq!(lengths, [1 << 20; 3]);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Child::start(&mut Command::new("./no-such-runner")).expect_err("it is not there");
        assert!(error.to_string().contains("./no-such-runner"));
    }
}
