//! What a change of the state asks for, to be done when the lock is free again.

use std::task::Waker;
use std::time::Duration;

use futures::future::{AbortHandle, AbortRegistration};

use crate::CloseReason;
use crate::addresses::Chosen;
use crate::live::Live;
use crate::seat::{Seated, Served};

/// Under the lock no waker is called, no connection destroyed, no hook asked, nothing spawned.
///
/// Empty it is one word. The lists are there once something is asked for, which on the paths that
/// every use takes is never.
#[derive(Debug)]
#[must_use = "somebody waits for this"]
pub(crate) struct Effects<T>(Option<Box<Lists<T>>>);

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Lists<T> {
    pub(crate) wake: Vec<Waker>,
    /// Who is out of the line, and with what.
    pub(crate) serve: Vec<(Seated<T>, Served<T>)>,
    pub(crate) close: Vec<(Box<Live<T>>, CloseReason)>,
    pub(crate) dial: Vec<DialOrder>,
    pub(crate) give_up: Vec<AbortHandle>,
    /// The background task has something to do earlier than it thinks.
    pub(crate) nudge: bool,
    /// Somebody who waits for the pool to warm up or to drain may look again.
    pub(crate) progress: bool,
    /// To be logged.
    pub(crate) strategy_panicked: bool,
}

impl<T> Effects<T> {
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    #[inline]
    pub(crate) const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    pub(crate) fn into_lists(self) -> Option<Box<Lists<T>>> {
        self.0
    }

    /// For the background task, which need not wake itself.
    pub(crate) fn forget_nudge(&mut self) {
        if let Some(lists) = &mut self.0 {
            lists.nudge = false;
        }
    }

    /// The lists, to add to.
    #[cold]
    pub(crate) fn lists(&mut self) -> &mut Lists<T> {
        self.0.get_or_insert_with(|| {
            Box::new(Lists {
                wake: Vec::new(),
                serve: Vec::new(),
                close: Vec::new(),
                dial: Vec::new(),
                give_up: Vec::new(),
                nudge: false,
                progress: false,
                strategy_panicked: false,
            })
        })
    }
}

/// A connection to be opened. Its place is taken already.
#[derive(Debug)]
pub(crate) struct DialOrder {
    pub(crate) id: u64,
    pub(crate) chosen: Chosen,
    /// How long the connection will live.
    pub(crate) lifetime: Duration,
    /// Ends it when it is given up.
    pub(crate) abort: AbortRegistration,
}

/// How a dial ended.
#[derive(Debug)]
pub(crate) enum DialEnd<T> {
    Opened(Box<Live<T>>),
    Failed(crate::DialError),
    GivenUp,
}
