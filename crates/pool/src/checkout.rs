//! Getting a connection: at once where one is idle, else in line.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use evenkeel_stats::{CheckoutEvent, Phase, Reused, Timestamp};

use crate::check::Held;
use crate::effects::Effects;
use crate::live::Live;
use crate::seat::Served;
use crate::shared::Shared;
use crate::state::{Caller, Place, State};
use crate::sync::MutexGuard;
use crate::{CheckoutError, CloseReason, PooledConnection};

/// An idle connection that is good, if there is one.
pub(crate) fn at_once<T: Send + 'static>(shared: &Arc<Shared<T>>) -> Option<PooledConnection<T>> {
    loop {
        let live = shared.lock().take_idle()?;
        if shared.is_plain() {
            return Some(hand_out(shared, live));
        }
        if shared.must_check(&live) {
            // A check waits, which this does not.
            shared.change(|state, now, fx| state.lay_back(live, now, fx));
            return None;
        }
        if let Some(guard) = look(shared, live) {
            observe(shared, &guard, Duration::ZERO, Reused::Yes);
            return Some(guard);
        }
    }
}

/// A connection, at once or within `timeout`.
#[inline]
pub(crate) async fn checkout<T: Send + 'static>(
    shared: &Arc<Shared<T>>,
    timeout: Duration,
) -> Result<PooledConnection<T>, CheckoutError> {
    if !shared.is_plain() {
        return Turn::new(shared, timeout).finish().await;
    }
    let mut ask = Ask::new(shared, timeout, None);
    let live = (&mut ask).await.map_err(|error| *error)?;
    if let Some(began) = ask.began {
        let took = shared.time.fine().since(began);
        shared.recorder.wait_time.record_duration(took);
    }
    Ok(hand_out(shared, live))
}

/// Asks for a connection and waits in line for it, as a future. Dropped while it waits, its place goes
/// to the next, with whatever it was served with already.
struct Ask<'a, T: Send + 'static> {
    shared: &'a Arc<Shared<T>>,
    timeout: Duration,
    /// Once it had to wait; from the start if it did before and was served with a dead connection.
    caller: Option<Caller>,
    /// Since when on the fine clock, if it waits and this wait is one that is timed.
    began: Option<Timestamp>,
    /// While it is in line.
    place: Option<Place<T>>,
}

impl<T: Send + 'static> Future for Ask<'_, T> {
    type Output = Served<T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.place.is_some() {
            self.claim(cx)
        } else {
            self.ask(cx)
        }
    }
}

impl<'a, T: Send + 'static> Ask<'a, T> {
    #[inline]
    const fn new(shared: &'a Arc<Shared<T>>, timeout: Duration, before: Option<Caller>) -> Self {
        Self {
            shared,
            timeout,
            caller: before,
            began: None,
            place: None,
        }
    }

    /// Takes what is idle, or joins the line.
    #[inline]
    fn ask(&mut self, cx: &Context<'_>) -> Poll<Served<T>> {
        let shared = self.shared;
        // Made before the lock is taken if others wait already, so that what it takes to make one is
        // not added to what they wait for.
        let newcomer = shared.is_busy().then(|| self.newcomer(cx));
        let mut state = shared.lock();
        if let Some(live) = state.take_idle() {
            drop(state);
            if newcomer.is_some() {
                shared.set_busy(false);
            }
            return Poll::Ready(Ok(live));
        }
        let newcomer = newcomer.unwrap_or_else(|| self.newcomer(cx));
        self.join(newcomer, state)
    }

    fn newcomer(&self, cx: &Context<'_>) -> Newcomer {
        let now = self.shared.time.coarse();
        Newcomer {
            caller: self.caller.unwrap_or_else(|| Caller::new(now, self.timeout)),
            now,
            waker: cx.waker().clone(),
        }
    }

    /// Joins the line, under the lock under which there was no idle connection.
    fn join(&mut self, newcomer: Newcomer, mut state: MutexGuard<'_, State<T>>) -> Poll<Served<T>> {
        let Newcomer { caller, now, waker } = newcomer;
        let mut fx = Effects::none();
        let joined = state.join(caller, waker, now, &mut fx);
        drop(state);
        self.shared.set_busy(true);
        let answer = match joined {
            Ok(place) => {
                if place.timed {
                    self.began = Some(self.shared.time.fine());
                }
                self.caller = Some(caller);
                self.place = Some(place);
                // Whoever serves it wakes it, also if that happened already.
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        };
        self.shared.perform(fx);
        answer
    }

    /// Looks whether it was served.
    #[inline]
    fn claim(&mut self, cx: &Context<'_>) -> Poll<Served<T>> {
        let Some(place) = &self.place else {
            return Poll::Pending;
        };
        match place.seat.poll(cx) {
            Poll::Ready(Ok(mut live)) => {
                live.seat = self.place.take().map(|place| place.seat);
                Poll::Ready(Ok(live))
            }
            Poll::Ready(Err(error)) => {
                self.place = None;
                Poll::Ready(Err(error))
            }
            Poll::Pending if place.blocks => self.fetch(),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Fetches what it was woken for, as a caller that blocks its thread.
    fn fetch(&mut self) -> Poll<Served<T>> {
        let Some(place) = &self.place else {
            return Poll::Pending;
        };
        let fetched = self.shared.change(|state, _, fx| state.fetch(place, fx));
        fetched.map_or(Poll::Pending, |live| {
            self.place = None;
            Poll::Ready(Ok(live))
        })
    }

    #[cold]
    fn leave(&self, place: &Place<T>) {
        match place.seat.leave() {
            Some(Ok(live)) => self.shared.take_back(live),
            Some(Err(_error)) => {}
            // Somebody may be on the way to the seat with a connection; it will find that nobody sits there.
            None => self.shared.change(|state, _, fx| state.leave(place, fx)),
        }
    }
}

impl<T: Send + 'static> Drop for Ask<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.leave(&place);
        }
    }
}

/// Somebody who wants a place in line.
struct Newcomer {
    caller: Caller,
    now: Timestamp,
    waker: Waker,
}

impl Caller {
    fn new(now: Timestamp, timeout: Duration) -> Self {
        Self {
            joined: now,
            deadline: now.saturating_add(timeout),
            // A task is scheduled by the runtime; anything else is a thread that the system wakes.
            blocks: tokio::task::try_id().is_none(),
            keeps_turn: false,
        }
    }
}

impl<T: Send + 'static> Shared<T> {
    /// Whether the last checkout had to wait, so that the next one may have to as well.
    #[inline]
    fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    fn set_busy(&self, busy: bool) {
        // A word that is only read stays in every core's cache.
        if self.is_busy() != busy {
            self.busy.store(busy, Ordering::Relaxed);
        }
    }

    /// The time of a caller is over who is not in line.
    fn late(&self, caller: Caller, phase: Phase) -> CheckoutError {
        let now = self.time.coarse();
        self.lock().timeout_in(phase, caller.joined, 0, now)
    }

    /// Whether nobody has to be asked or told at a checkout.
    #[inline]
    fn is_plain(&self) -> bool {
        self.recycle.is_none() && self.hooks.is_none() && self.observer.is_none()
    }

    /// Whether the connection was idle for so long that it must be checked.
    fn must_check(&self, live: &Live<T>) -> bool {
        let Some(after) = self.settings.validate_after_idle else {
            return false;
        };
        if self.recycle.is_none() || live.is_new() {
            return false;
        }
        let quiet = self.time.coarse().since(live.quiet_since());
        // What was opened for a thread that sleeps lies idle until that wakes.
        let just_opened = live.fresh && quiet.is_zero();
        quiet >= after && !just_opened
    }
}

#[inline]
fn hand_out<T: Send + 'static>(shared: &Arc<Shared<T>>, mut live: Box<Live<T>>) -> PooledConnection<T> {
    if live.begin_use() {
        live.timed = Some(shared.time.fine());
    }
    let home = live.home.0.take();
    PooledConnection::new(home.unwrap_or_else(|| shared.clone()), live)
}

/// Takes a look at an open connection and hands it out, or closes it if it is dead.
fn look<T: Send + 'static>(shared: &Arc<Shared<T>>, live: Box<Live<T>>) -> Option<PooledConnection<T>> {
    let is_new = live.is_new();
    // In the guard first, so that a panic in the user's code closes it and gives its place back.
    let mut guard = hand_out(shared, live);
    let connection = &mut guard.live_mut().connection;
    if !is_new
        && let Some(recycle) = &shared.recycle
        && !recycle.is_alive(connection)
    {
        guard.discard(CloseReason::Unhealthy);
        return None;
    }
    if let Some(hooks) = &shared.hooks {
        hooks.checked_out(connection);
    }
    Some(guard)
}

fn observe<T: Send + 'static>(
    shared: &Shared<T>,
    guard: &PooledConnection<T>,
    took: Duration,
    reused: Reused,
) {
    if let Some(observer) = &shared.observer {
        observer.checkout(&CheckoutEvent {
            target: guard.target(),
            took,
            result: Ok(reused),
        });
    }
}

/// A checkout at which somebody has to be asked or told.
struct Turn<'a, T: Send + 'static> {
    shared: &'a Arc<Shared<T>>,
    timeout: Duration,
    /// Once its time runs.
    caller: Option<Caller>,
    /// Its start on the fine clock, if it is timed.
    began: Option<Timestamp>,
}

impl<'a, T: Send + 'static> Turn<'a, T> {
    fn new(shared: &'a Arc<Shared<T>>, timeout: Duration) -> Self {
        Self {
            shared,
            timeout,
            caller: None,
            began: None,
        }
    }

    async fn finish(&mut self) -> Result<PooledConnection<T>, CheckoutError> {
        let mut before = None;
        loop {
            let mut ask = Ask::new(self.shared, self.timeout, before);
            let got = (&mut ask).await;
            self.caller = ask.caller;
            self.began = self.began.or(ask.began);
            let live = match got {
                Ok(live) => live,
                Err(error) => return Err(self.fail(*error)),
            };
            match self.admit(live).await {
                Ok(Some(guard)) => return Ok(guard),
                Ok(None) => {}
                Err(error) => return Err(self.fail(error)),
            }
            before = self.caller.map(|caller| Caller {
                keeps_turn: true,
                ..caller
            });
        }
    }

    /// Checks what it has got as far as that is asked for; `None` if that proved dead.
    async fn admit(&mut self, mut live: Box<Live<T>>) -> Result<Option<PooledConnection<T>>, CheckoutError> {
        let shared = self.shared;
        let reused = if live.fresh { Reused::No } else { Reused::Yes };
        if shared.must_check(&live) {
            let now = shared.time.coarse();
            self.began.get_or_insert_with(|| shared.time.fine());
            let caller = *self.caller.get_or_insert_with(|| Caller::new(now, self.timeout));
            let answer = Held::check_for_caller(shared, live);
            match shared.within(caller.deadline.since(now), answer).await {
                Some(Ok(held)) => match held.into_live() {
                    Some(good) => live = good,
                    None => return Ok(None),
                },
                Some(Err(_dead)) => return Ok(None),
                None => return Err(shared.late(caller, Phase::Read)),
            }
        }
        let Some(guard) = look(shared, live) else {
            return Ok(None);
        };
        let took = self.took();
        if self.began.is_some() {
            shared.recorder.wait_time.record_duration(took);
        }
        observe(shared, &guard, took, reused);
        Ok(Some(guard))
    }

    /// How long it has waited: exactly if it is timed, else by the coarse clock.
    fn took(&self) -> Duration {
        let time = &self.shared.time;
        match (self.began, self.caller) {
            (Some(began), _) => time.fine().since(began),
            (None, Some(caller)) if self.shared.observer.is_some() => time.coarse().since(caller.joined),
            _ => Duration::ZERO,
        }
    }

    fn fail(&self, error: CheckoutError) -> CheckoutError {
        if let Some(observer) = &self.shared.observer {
            observer.checkout(&CheckoutEvent {
                target: &"pool",
                took: self.took(),
                result: Err(error.failure()),
            });
        }
        error
    }
}
