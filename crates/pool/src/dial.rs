//! Opening a connection: a task of its own, whose reservation can not be lost.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use evenkeel_io_core::{Connect, Target};
use evenkeel_stats::{ConnectEvent, Timestamp};
use futures::FutureExt;
use futures::future::{Abortable, BoxFuture};

use crate::effects::{DialEnd, DialOrder};
use crate::live::{Home, Live};
use crate::shared::Shared;
use crate::state::News;
use crate::{DialCause, DialError};

/// A [`Connect`] with its type and its error's type forgotten, so that neither is part of a pool's type.
pub(crate) trait Dialler<T>: Send + Sync {
    fn dial(&self, target: Target) -> BoxFuture<'_, Result<T, Box<dyn Error + Send + Sync>>>;
}

impl<C: Connect> Dialler<C::Connection> for C {
    fn dial(&self, target: Target) -> BoxFuture<'_, Result<C::Connection, Box<dyn Error + Send + Sync>>> {
        self.connect(target)
            .map(|result| result.map_err(|error| Box::new(error) as _))
            .boxed()
    }
}

/// The place of a connection that is being opened. However the task ends, by success, failure, panic,
/// or because the runtime drops it, the place is given back or turned into a connection.
#[derive(Debug)]
pub(crate) struct Reservation<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    /// `None` once it has ended.
    order: Option<DialOrder>,
}

impl<T: Send + 'static> Reservation<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>, order: DialOrder) -> Self {
        Self {
            shared,
            order: Some(order),
        }
    }

    /// Dials. A panic of the connector, a hook or an observer is a failed dial.
    pub(crate) async fn run(mut self) {
        let dial = AssertUnwindSafe(self.dial()).catch_unwind().await;
        let end = match (dial, &self.order) {
            (Ok(end), _) => end,
            (Err(_panic), Some(order)) => {
                let target = order.chosen.address.target.clone();
                DialEnd::Failed(DialError::new(target, DialCause::Panicked))
            }
            (Err(_panic), None) => return,
        };
        self.end(end);
    }

    async fn dial(&mut self) -> DialEnd<T> {
        // The order stays in the reservation: what is copied here is enough to dial.
        let Some((target, abort)) = self.order.as_mut().map(|order| {
            let (_, spent) = futures::future::AbortHandle::new_pair();
            let abort = std::mem::replace(&mut order.abort, spent);
            (order.chosen.address.target.clone(), abort)
        }) else {
            return DialEnd::GivenUp;
        };
        let shared = self.shared.clone();
        let began = shared.time.fine();
        let limit = shared.settings.connection_timeout;
        // The deadline is ours, whatever the connector has of its own.
        let dial = async { tokio::time::timeout(limit, shared.dialler.dial(target.clone())).await };
        let result = match Abortable::new(dial, abort).await {
            Err(_given_up) => return DialEnd::GivenUp,
            Ok(Ok(Ok(connection))) => Ok(connection),
            Ok(Ok(Err(source))) => Err(DialError::new(target, DialCause::Failed(source))),
            Ok(Err(_elapsed)) => Err(DialError::new(target, DialCause::Timeout(limit))),
        };
        self.report(&result, began);
        match result {
            Ok(connection) => self.open(connection),
            Err(error) => DialEnd::Failed(error),
        }
    }

    fn report(&self, result: &Result<T, DialError>, began: Timestamp) {
        let took = self.shared.time.fine().since(began);
        if result.is_ok() {
            self.shared.recorder.create_time.record_duration(took);
        }
        let Some(order) = &self.order else { return };
        if let Some(observer) = &self.shared.observer {
            observer.connect(&ConnectEvent {
                target: &order.chosen.address.target,
                took,
                result: result.as_ref().map(|_| ()).map_err(DialError::failure),
            });
        }
    }

    fn open(&self, mut connection: T) -> DialEnd<T> {
        let Some(order) = &self.order else {
            return DialEnd::GivenUp;
        };
        let address = order.chosen.address.clone();
        if let Some(hooks) = &self.shared.hooks {
            hooks.created(&mut connection, &address.target);
        }
        let now = self.shared.time.coarse();
        DialEnd::Opened(Box::new(Live {
            connection,
            address,
            generation: order.chosen.generation,
            epoch: 0,
            born: now,
            expires: now.saturating_add(order.lifetime),
            since: now,
            checked: now,
            fresh: true,
            rested: false,
            reusable: true,
            uses: 0,
            timed: None,
            seat: None,
            home: Home(None),
        }))
    }

    fn end(&mut self, end: DialEnd<T>) {
        let Some(order) = self.order.take() else { return };
        let target = &order.chosen.address.target;
        if let DialEnd::Failed(error) = &end {
            self.shared.recorder.failures.record(error.failure());
            tracing::debug!(%target, %error, "connect failed");
        }
        let turn = self
            .shared
            .change(|state, now, fx| state.dial_ended(order.id, end, now, fx));
        match turn {
            Some(News::Dead) => tracing::warn!(%target, "address proved dead, its connections go"),
            Some(News::Back) => tracing::info!(%target, "address is back"),
            None => {}
        }
    }
}

impl<T: Send + 'static> Drop for Reservation<T> {
    fn drop(&mut self) {
        if self.order.is_some() {
            // Nobody but the runtime can drop the task, so it is ending, perhaps in a panic. Closed first:
            // an open pool would dial anew, and that would be dropped again, and so on.
            self.shared.shut();
            self.end(DialEnd::GivenUp);
        }
    }
}
