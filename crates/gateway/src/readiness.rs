//! [`Serving`]: whether this gateway is one to send to.

use tokio::sync::watch;

/// What it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No collector can be reached.
    Waiting,
    /// All is well.
    Ready,
    /// It is going to end: it answers what it has, and what still comes.
    Draining,
    /// It ends now.
    Over,
}

impl State {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "no collector is ready",
            Self::Ready => "ready",
            Self::Draining | Self::Over => "draining",
        }
    }
}

/// Readiness as others read it; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Serving(watch::Receiver<State>);

/// The one that says it.
#[derive(Debug)]
pub(crate) struct Readiness(watch::Sender<State>);

impl Readiness {
    pub(crate) fn new() -> (Self, Serving) {
        let (sender, receiver) = watch::channel(State::Waiting);
        (Self(sender), Serving(receiver))
    }

    /// Changes it; an end is not taken back.
    pub(crate) fn set(&self, state: State) {
        self.0.send_if_modified(|now| {
            let change = *now != state
                && match *now {
                    State::Waiting | State::Ready => true,
                    State::Draining => state == State::Over,
                    State::Over => false,
                };
            if change {
                *now = state;
            }
            change
        });
    }
}

impl Serving {
    pub(crate) fn state(&self) -> State {
        *self.0.borrow()
    }

    pub(crate) fn now(&self) -> bool {
        self.state() == State::Ready
    }

    /// Whether nothing more is to come.
    pub(crate) fn is_over(&self) -> bool {
        self.state() == State::Over
    }

    /// Waits for a change; `false` if there can be none.
    pub(crate) async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_is_not_undone_by_a_collector_that_comes_back() {
        let (readiness, serving) = Readiness::new();
        assert!(!serving.now());
        readiness.set(State::Ready);
        assert!(serving.now());
        readiness.set(State::Draining);
        readiness.set(State::Ready);
        assert_eq!(serving.state(), State::Draining);
        readiness.set(State::Over);
        readiness.set(State::Draining);
        assert!(serving.is_over());
    }
}
