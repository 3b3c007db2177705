//! The way from a target to a connection, and what is told of it.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "tls")]
use evenkeel_stats::Phase;
use evenkeel_stats::{Clock, CloseEvent, ConnectEvent, Timestamp};
use tokio::time::timeout;

use crate::error::{Attempt, Attempts, Limit};
use crate::gate::Gate;
use crate::happy_eyeballs::{Delays, DialFailure, Family, HappyEyeballs, Peer, Progress};
use crate::limits::Places;
use crate::manager::Shared;
use crate::registry::{Entry, NewEntry};
use crate::session::Session;
use crate::socket::{Socket, SocketHandle};
use crate::{AsyncConnection, CloseReason, ConnectError, Target, Transport};

/// How far a connect has come; outlives the future that a time-out drops.
struct Journey {
    stage: Stage,
    progress: Progress,
}

enum Stage {
    Queue(Limit),
    Dial,
    #[cfg(feature = "tls")]
    Handshake,
}

/// Where a connection came from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Dialled,
    Adopted,
}

impl Journey {
    fn new() -> Self {
        Self {
            stage: Stage::Queue(Limit::Connections),
            progress: Progress::default(),
        }
    }
}

impl Shared {
    pub(crate) async fn open(self: &Arc<Self>, target: Target) -> Result<AsyncConnection, ConnectError> {
        target.check()?;
        let started = self.clock.now();
        let mut journey = Journey::new();
        // Boxed: whoever holds a connection for long should not carry the room of connecting with it.
        let travel = Box::pin(self.travel(&target, &mut journey));
        let result = self.bounded(&target, travel).await;
        let result = result.unwrap_or_else(|| Err(self.ran_out(&target, &mut journey)));
        self.tell(&target, started, &result, Origin::Dialled);
        result
    }

    pub(crate) async fn adopt<S>(
        self: &Arc<Self>,
        stream: S,
        peer: Target,
    ) -> Result<AsyncConnection<S>, ConnectError> {
        let started = self.clock.now();
        let mut journey = Journey::new();
        let entering = self.places(&peer, &mut journey);
        let result = match self.bounded(&peer, entering).await {
            Some(Ok(places)) => self.register(stream, SocketHandle::Foreign, &peer, peer.clone(), places),
            Some(Err(error)) => Err(error),
            None => Err(self.ran_out(&peer, &mut journey)),
        };
        self.tell(&peer, started, &result, Origin::Adopted);
        result
    }

    /// Runs `future` within the connect time-out and until a shutdown begins; `None` if time ran out.
    async fn bounded<T>(
        &self,
        target: &Target,
        future: impl Future<Output = Result<T, ConnectError>>,
    ) -> Option<Result<T, ConnectError>> {
        let mut closing = self.closing.subscribe();
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => {
                Some(Err(ConnectError::ShuttingDown { target: target.clone() }))
            }
            result = timeout(self.config.connect_timeout, future) => result.ok(),
        }
    }

    async fn places(&self, target: &Target, journey: &mut Journey) -> Result<Places, ConnectError> {
        let at = |limit| journey.stage = Stage::Queue(limit);
        self.limits
            .enter(target, at)
            .await
            .ok_or_else(|| ConnectError::Limit {
                target: target.clone(),
                limit: Limit::WaitingConnects,
                waited: Duration::ZERO,
            })
    }

    async fn travel(
        self: &Arc<Self>,
        target: &Target,
        journey: &mut Journey,
    ) -> Result<AsyncConnection, ConnectError> {
        let places = self.places(target, journey).await?;
        journey.stage = Stage::Queue(Limit::PendingOperations);
        let pending = Gate::enter(&self.limits.pending).await;

        journey.stage = Stage::Dial;
        let (socket, peer) = self.dial(target, &mut journey.progress).await?;
        let handle = socket.handle();

        #[cfg(feature = "tls")]
        let transport = match &self.tls {
            Some(tls) => {
                journey.stage = Stage::Handshake;
                let stream =
                    tls.handshake(target, socket)
                        .await
                        .map_err(|source| ConnectError::Handshake {
                            target: target.clone(),
                            peer: peer.clone(),
                            source,
                        })?;
                Transport::tls(stream)
            }
            None => Transport::plain(socket),
        };
        #[cfg(not(feature = "tls"))]
        let transport = Transport::plain(socket);

        drop(pending);
        self.register(transport, handle, target, peer, places)
    }

    async fn dial(&self, target: &Target, progress: &mut Progress) -> Result<(Socket, Target), ConnectError> {
        let peer = match target {
            Target::Addr(address) => Peer::Addr(*address),
            Target::Host { name, port } => Peer::Name(name, *port),
            Target::Unix(path) => return dial_unix(target, path).await,
        };
        let race = HappyEyeballs {
            delays: Delays::new(self.config.connection_attempt_delay),
            only: self
                .config
                .bind_address
                .map(|local| Family::of(&(local, 0).into())),
            resolver: &*self.resolver,
            clock: &*self.clock,
        };
        let dialled = race
            .connect(peer, progress, |address| {
                Socket::connect_tcp(address, &self.config)
            })
            .await;
        match dialled {
            Ok((socket, address)) => Ok((socket, address.into())),
            Err(DialFailure::Resolve(source)) => Err(ConnectError::Resolve {
                target: target.clone(),
                source,
            }),
            Err(DialFailure::NoAddress) => Err(ConnectError::NoAddress {
                target: target.clone(),
            }),
            Err(DialFailure::NoneOf(family)) => Err(ConnectError::WrongFamily {
                target: target.clone(),
                family: match family {
                    Family::V4 => "IPv4",
                    Family::V6 => "IPv6",
                },
            }),
            Err(DialFailure::AllFailed(failures)) => Err(ConnectError::Connect {
                target: target.clone(),
                attempts: Attempts::failed(failures),
            }),
        }
    }

    /// The time-out passed: what it says depends on what it passed in.
    fn ran_out(&self, target: &Target, journey: &mut Journey) -> ConnectError {
        let target = target.clone();
        let after = self.config.connect_timeout;
        let phase = match journey.stage {
            Stage::Queue(limit) => {
                return ConnectError::Limit {
                    target,
                    limit,
                    waited: after,
                };
            }
            Stage::Dial => journey.progress.phase(),
            #[cfg(feature = "tls")]
            Stage::Handshake => Phase::Handshake,
        };
        ConnectError::Timeout {
            target,
            phase,
            after,
            attempts: Attempts::cut_off(&mut journey.progress),
        }
    }

    fn register<S>(
        self: &Arc<Self>,
        stream: S,
        socket: SocketHandle,
        target: &Target,
        peer: Target,
        places: Places,
    ) -> Result<AsyncConnection<S>, ConnectError> {
        let now = self.clock.coarse();
        let entry = self.registry.insert(NewEntry {
            target: target.clone(),
            peer,
            socket,
            now,
        });
        let mut session = Session::new(self.clone(), entry, places);
        // Looked at after registering, as a shutdown marks first and counts then.
        if *self.closing.borrow() {
            return Err(ConnectError::ShuttingDown {
                target: target.clone(),
            });
        }
        session.announced = true;
        Ok(AsyncConnection::new(stream, session))
    }

    /// Counts, traces and passes on how an attempt to get a connection ended.
    fn tell<S>(
        &self,
        target: &Target,
        started: Timestamp,
        result: &Result<AsyncConnection<S>, ConnectError>,
        origin: Origin,
    ) {
        let took = self.clock.now().since(started);
        let told = match result {
            Ok(connection) => {
                self.recorder.opened.increment();
                if origin == Origin::Dialled {
                    self.recorder.connect_time.record_duration(took);
                }
                tracing::debug!(%target, peer = %connection.peer(), id = %connection.id(), ?took, "connected");
                Ok(())
            }
            Err(error) => {
                let failure = error.failure();
                self.recorder.connect_failed(failure);
                // The caller has the error, and tells what it changes.
                tracing::debug!(%target, phase = %failure.phase, kind = %failure.kind, ?took, %error, "connect failed");
                Err(failure)
            }
        };
        self.observer.connect(&ConnectEvent {
            target,
            took,
            result: told,
        });
    }

    /// A connection has left the registry.
    pub(crate) fn gone(&self, entry: &Entry, announced: bool) {
        if announced {
            let age = self.clock.coarse().since(entry.opened);
            let reason = entry.closing().unwrap_or(CloseReason::Dropped).as_str();
            let (target, peer, id) = (&entry.target, &entry.peer, entry.id);
            tracing::debug!(%target, %peer, %id, ?age, reason, "closed");
            self.observer.close(&CloseEvent { target, age, reason });
        }
        if *self.closing.borrow() {
            self.left.notify_waiters();
        }
    }
}

#[cfg(unix)]
async fn dial_unix(target: &Target, path: &std::path::Path) -> Result<(Socket, Target), ConnectError> {
    match Socket::connect_unix(path).await {
        Ok(socket) => Ok((socket, target.clone())),
        Err(error) => Err(ConnectError::Connect {
            target: target.clone(),
            attempts: Attempts(vec![Attempt {
                address: target.clone(),
                error,
            }]),
        }),
    }
}

#[cfg(not(unix))]
async fn dial_unix(target: &Target, _path: &std::path::Path) -> Result<(Socket, Target), ConnectError> {
    Err(ConnectError::Connect {
        target: target.clone(),
        attempts: Attempts(vec![Attempt {
            address: target.clone(),
            error: std::io::ErrorKind::Unsupported.into(),
        }]),
    })
}
