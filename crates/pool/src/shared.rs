//! What a pool's handles, guards and tasks share.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crossbeam_utils::CachePadded;
use evenkeel_stats::{Clock, CloseEvent, Observe, RealClock, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::dial::{Dialler, Reservation};
use crate::effects::{Effects, Lists};
use crate::live::{Home, Live};
use crate::seat::{Seated, Served};
use crate::state::{Returned, State};
use crate::stats::Recorder;
use crate::sync::{Mutex, MutexGuard};
use crate::{CloseReason, Hooks, Recycle};

/// See the module.
pub(crate) struct Shared<T> {
    /// Padded: what is beside it is only read, and by every thread.
    state: CachePadded<Mutex<State<T>>>,
    /// A guess: whether whoever asks now will have to wait.
    pub(crate) busy: AtomicBool,
    pub(crate) time: Time,
    /// `None` trusts every connection.
    pub(crate) recycle: Option<Arc<dyn Recycle<T>>>,
    pub(crate) hooks: Option<Arc<dyn Hooks<T>>>,
    pub(crate) observer: Option<Arc<dyn Observe>>,
    pub(crate) recorder: Recorder,
    pub(crate) dialler: Arc<dyn Dialler<T>>,
    pub(crate) runtime: Handle,
    pub(crate) settings: Settings,
    /// Wakes the background task.
    pub(crate) nudge: Arc<Notify>,
    /// Told when a dial ends, and of everything that comes back after closing.
    pub(crate) progress: Notify,
}

/// The part of the configuration that is read without the lock.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) connection_timeout: Duration,
    pub(crate) checkout_timeout: Duration,
    pub(crate) validate_after_idle: Option<Duration>,
}

/// The pool's clock. The usual one is known by type, so that reading it is not a virtual call.
///
/// Whatever the pool decides by (deadlines, idle times, ages) is coarse time, which costs a quarter;
/// what it reports (how long a use, a wait or a connect took) is the difference of two fine ones.
/// The two do not compare.
#[derive(Debug)]
pub(crate) enum Time {
    Real(RealClock),
    Other(Arc<dyn Clock>),
}

impl Time {
    /// To within some milliseconds.
    #[inline]
    pub(crate) fn coarse(&self) -> Timestamp {
        match self {
            Self::Real(clock) => clock.coarse(),
            Self::Other(clock) => clock.coarse(),
        }
    }

    /// To the nanosecond.
    #[inline]
    pub(crate) fn fine(&self) -> Timestamp {
        match self {
            Self::Real(clock) => clock.now(),
            Self::Other(clock) => clock.now(),
        }
    }
}

/// The parts of a [`Shared`], named.
pub(crate) struct Parts<T> {
    pub(crate) state: State<T>,
    pub(crate) time: Time,
    pub(crate) recycle: Option<Arc<dyn Recycle<T>>>,
    pub(crate) hooks: Option<Arc<dyn Hooks<T>>>,
    pub(crate) observer: Option<Arc<dyn Observe>>,
    pub(crate) dialler: Arc<dyn Dialler<T>>,
    pub(crate) runtime: Handle,
    pub(crate) settings: Settings,
}

impl<T: Send + 'static> Shared<T> {
    pub(crate) fn new(parts: Parts<T>) -> Self {
        Self {
            state: CachePadded::new(Mutex::new(parts.state)),
            busy: AtomicBool::new(false),
            time: parts.time,
            recycle: parts.recycle,
            hooks: parts.hooks,
            observer: parts.observer,
            recorder: Recorder::new(),
            dialler: parts.dialler,
            runtime: parts.runtime,
            settings: parts.settings,
            nudge: Arc::default(),
            progress: Notify::new(),
        }
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock()
    }

    /// Changes the state, then does what that asks for.
    pub(crate) fn change<R>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut State<T>, Timestamp, &mut Effects<T>) -> R,
    ) -> R {
        let now = self.time.coarse();
        let mut fx = Effects::none();
        let result = change(&mut self.lock(), now, &mut fx);
        self.perform(fx);
        result
    }

    /// Takes a connection back that its holder is done with, and the holder's share of the pool.
    #[inline]
    pub(crate) fn give_back(self: Arc<Self>, mut live: Box<Live<T>>) {
        if let Some(since) = live.timed.take() {
            self.recorder.use_time.record(self.time.fine().nanos_since(since));
        }
        if !live.reusable || std::thread::panicking() {
            return self.discard(live, CloseReason::Broken);
        }
        if (self.recycle.is_some() || self.hooks.is_some()) && !self.reset(&mut live.connection) {
            return self.discard(live, CloseReason::Broken);
        }
        let now = self.time.coarse();
        live.since = now;
        let returned = self.lock().give_back(live, now);
        match returned {
            Returned::Idle => {}
            Returned::Wake(waker) => waker.wake(),
            Returned::Hand(next, mut live) => {
                live.home = Home(Some(self));
                serve(next, Ok(live), None);
            }
            Returned::More(fx) => self.perform(fx),
        }
    }

    #[cold]
    pub(crate) fn take_back(self: &Arc<Self>, mut live: Box<Live<T>>) {
        live.home = Home(None);
        self.change(|state, now, fx| state.take_back(live, now, fx));
    }

    /// Lets the user's code reset a connection. This runs in a destructor: a panic that went on from
    /// here would lose the connection's place, or end the process if there is another one already.
    fn reset(&self, connection: &mut T) -> bool {
        let reset = AssertUnwindSafe(|| {
            let good = self
                .recycle
                .as_ref()
                .is_none_or(|recycle| recycle.reset(connection));
            if good && let Some(hooks) = &self.hooks {
                hooks.returned(connection);
            }
            good
        });
        catch_unwind(reset).unwrap_or(false)
    }

    #[cold]
    pub(crate) fn discard(self: &Arc<Self>, live: Box<Live<T>>, reason: CloseReason) {
        self.change(|state, now, fx| state.discard(live, reason, now, fx));
    }

    /// Does what a change asked for, with the lock free.
    #[inline]
    pub(crate) fn perform(self: &Arc<Self>, fx: Effects<T>) {
        if let Some(lists) = fx.into_lists() {
            self.perform_all(*lists);
        }
    }

    fn perform_all(self: &Arc<Self>, lists: Lists<T>) {
        // Those who wait come first: what follows may take long.
        for waker in lists.wake {
            waker.wake();
        }
        for (next, served) in lists.serve {
            serve(next, served, Some(self));
        }
        if lists.nudge {
            self.nudge.notify_one();
        }
        if lists.progress {
            self.progress.notify_waiters();
        }
        for dial in lists.give_up {
            dial.abort();
        }
        if lists.strategy_panicked {
            tracing::error!("the strategy panicked over a choice; any address with room was taken");
        }
        for order in lists.dial {
            self.runtime.spawn(Reservation::new(self.clone(), order).run());
        }
        for (live, reason) in lists.close {
            self.bury(live, reason);
        }
    }

    /// Lets users' code see the last of a connection. This runs in destructors and in the background
    /// task, which a panic would end, and the pool with it.
    fn bury(&self, mut live: Box<Live<T>>, reason: CloseReason) {
        let last = AssertUnwindSafe(move || {
            if let Some(hooks) = &self.hooks {
                hooks.closed(&mut live.connection, reason);
            }
            if let Some(observer) = &self.observer {
                observer.close(&CloseEvent {
                    target: &live.address.target,
                    age: self.time.coarse().since(live.born),
                    reason: reason.as_str(),
                });
            }
            drop(live);
        });
        if catch_unwind(last).is_err() {
            tracing::warn!(%reason, "a hook, an observer or a destructor panicked over a closed connection");
        }
    }

    /// What `future` gives, unless `limit` passes first or the runtime ends.
    ///
    /// The timer is a task, because a timer itself can be polled neither outside of its runtime nor
    /// after that has ended, and callers may be there.
    pub(crate) async fn within<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        let mut timer = Timer(self.runtime.spawn(async move { tokio::time::sleep(limit).await }));
        tokio::select! {
            biased;
            output = future => Some(output),
            _ = &mut timer.0 => None,
        }
    }

    /// Closes the pool: nobody is served any more.
    pub(crate) fn shut(self: &Arc<Self>) {
        self.change(|state, _, fx| state.close(fx));
    }
}

/// Serves a waiter that is out of the line. A connection that comes too late goes to the next.
#[inline]
fn serve<T: Send + 'static>(next: Seated<T>, served: Served<T>, shared: Option<&Arc<Shared<T>>>) {
    match next.serve(served) {
        Ok(waker) => waker.wake(),
        Err(Ok(mut live)) => {
            let home = live.home.0.take();
            if let Some(shared) = home.as_ref().or(shared) {
                shared.take_back(live);
            }
        }
        Err(Err(_error)) => {}
    }
}

/// Ends with whoever waits for it.
struct Timer(JoinHandle<()>);

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("census", &self.state.lock().census())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
