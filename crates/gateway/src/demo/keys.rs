//! Keys, from a terminal or a pipe.

use std::io::{self, IsTerminal, Read};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

use super::collectors::COLLECTORS;

/// Keys that nobody has taken yet; more are typed in vain.
const PENDING: usize = 64;

/// What can be done to a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Kill,
    Slow,
    Hang,
    Error,
    Throttle,
    Restore,
}

/// What keys ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// A deed to the collector of this index.
    Do(Deed, usize),
    End,
}

/// Commands as they are typed: a letter, then a number. What makes no sense is passed over.
#[derive(Debug, Default)]
struct Typed(Option<Deed>);

impl Typed {
    fn key(&mut self, key: u8) -> Option<Command> {
        let deed = match key.to_ascii_lowercase() {
            b'q' => return Some(Command::End),
            b'k' => Deed::Kill,
            b's' => Deed::Slow,
            b'h' => Deed::Hang,
            b'e' => Deed::Error,
            b't' => Deed::Throttle,
            b'r' => Deed::Restore,
            digit => {
                let which = usize::from(digit.checked_sub(b'1')?);
                let deed = self.0.take()?;
                return (which < COLLECTORS).then_some(Command::Do(deed, which));
            }
        };
        self.0 = Some(deed);
        None
    }
}

/// The keys. While they are read from a terminal, it hands each on at once and does not show it.
#[derive(Debug)]
pub(super) struct Keys {
    commands: Option<mpsc::Receiver<Command>>,
    /// How the terminal was.
    before: Option<Termios>,
}

impl Keys {
    /// Begins to read; `raw` if a table is drawn where keys would be shown.
    pub(super) fn read(raw: bool) -> io::Result<Self> {
        let mut before = None;
        if raw && io::stdin().is_terminal() {
            let settings = tcgetattr(io::stdin())?;
            let mut immediate = settings.clone();
            // Ctrl-C remains a signal.
            immediate
                .local_flags
                .remove(LocalFlags::ICANON | LocalFlags::ECHO);
            tcsetattr(io::stdin(), SetArg::TCSANOW, &immediate)?;
            before = Some(settings);
        }
        let (sender, receiver) = mpsc::channel(PENDING);
        // A thread of its own: reading can not be given up, and would keep the runtime from ending.
        std::thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || {
                let mut typed = Typed::default();
                let mut key = [0];
                while io::stdin().read(&mut key).is_ok_and(|read| read > 0) {
                    if let Some(command) = typed.key(key[0])
                        && sender.blocking_send(command).is_err()
                    {
                        return;
                    }
                }
            })?;
        Ok(Self {
            commands: Some(receiver),
            before,
        })
    }

    /// None will come.
    pub(super) const fn none() -> Self {
        Self {
            commands: None,
            before: None,
        }
    }

    /// The next command; `None` at the end of the input.
    ///
    /// # Cancel safety
    /// No command is lost.
    pub(super) async fn next(&mut self) -> Option<Command> {
        match &mut self.commands {
            Some(commands) => commands.recv().await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // A terminal that is gone needs no restoring.
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_and_a_number_are_a_command_and_all_else_is_passed_over() {
        let mut typed = Typed::default();
        let commands: Vec<Command> = b"k1 1x7 hS2 r\n3 k4 k9 e0 \xff q"
            .iter()
            .filter_map(|&key| typed.key(key))
            .collect();
        let expected = [
            Command::Do(Deed::Kill, 0),
            Command::Do(Deed::Slow, 1),
            Command::Do(Deed::Restore, 2),
            Command::End,
        ];
        assert_eq!(commands, expected);
    }
}
