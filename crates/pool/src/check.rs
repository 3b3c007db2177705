//! Checks of open connections by [`Recycle::check`](crate::Recycle::check), in tasks of their own.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::oneshot;

use crate::CloseReason;
use crate::live::Live;
use crate::shared::Shared;

/// A connection that is neither idle nor handed out: it is being checked. Dropped half-way, the
/// connection goes and its place is free.
#[derive(Debug)]
pub(crate) struct Held<T: Send + 'static> {
    live: Option<Box<Live<T>>>,
    shared: Arc<Shared<T>>,
    stage: Stage,
}

/// On whose account a connection is being checked, and how far that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// In the background.
    Background,
    /// For a caller, under way.
    Caller,
    /// For a caller, who is to have it now.
    Passed,
}

impl<T: Send + 'static> Held<T> {
    /// One that the background task has taken out.
    pub(crate) fn in_background(shared: Arc<Shared<T>>, live: Box<Live<T>>) -> Self {
        Self {
            live: Some(live),
            shared,
            stage: Stage::Background,
        }
    }

    /// Whether it is good, in the background: then it is idle again, and else closed.
    pub(crate) async fn check_in_background(mut self) {
        if self.is_good().await
            && let Some(live) = self.live.take()
        {
            self.shared.change(|state, now, fx| state.checked(live, now, fx));
        }
    }

    /// Has the connection checked for a caller. The check runs to its end whether the caller waits for
    /// it or not: nobody can tell what a connection would do next on which one was cut short. If the
    /// caller has gone by then, the connection goes to the next.
    pub(crate) fn check_for_caller(shared: &Arc<Shared<T>>, live: Box<Live<T>>) -> oneshot::Receiver<Self> {
        let (sender, receiver) = oneshot::channel();
        let mut held = Self {
            live: Some(live),
            shared: shared.clone(),
            stage: Stage::Caller,
        };
        shared.runtime.spawn(async move {
            if held.is_good().await {
                held.stage = Stage::Passed;
                if let Some(live) = &mut held.live {
                    live.checked = held.shared.time.coarse();
                }
                // If nobody is there to take it, it is dropped, and so goes to the next.
                drop(sender.send(held));
            }
        });
        receiver
    }

    /// The connection that has passed.
    pub(crate) fn into_live(mut self) -> Option<Box<Live<T>>> {
        self.live.take()
    }

    /// Puts it to `Recycle::check`. A panic is a no, and so is no answer within `connection_timeout`.
    async fn is_good(&mut self) -> bool {
        let (Some(recycle), Some(live)) = (&self.shared.recycle, &mut self.live) else {
            return true;
        };
        let limit: Duration = self.shared.settings.connection_timeout;
        // What panics is made in here too. Others may be checked in the same task.
        let answer = AssertUnwindSafe(async { recycle.check(&mut live.connection).await });
        matches!(
            tokio::time::timeout(limit, answer.catch_unwind()).await,
            Ok(Ok(true))
        )
    }
}

impl<T: Send + 'static> Drop for Held<T> {
    fn drop(&mut self) {
        let Some(live) = self.live.take() else { return };
        match self.stage {
            Stage::Background => self
                .shared
                .change(|state, now, fx| state.check_failed(live, now, fx)),
            Stage::Caller => self.shared.change(|state, now, fx| {
                state.uncount();
                state.discard(live, CloseReason::Unhealthy, now, fx);
            }),
            Stage::Passed => self.shared.take_back(live),
        }
    }
}
