//! A gRPC backend that can be made sick. It serves `grpc.health.v1.Health/Check`, because a client and a
//! server of that need no code generated here; what is measured is the way there, not the answer.

use std::io::BufRead;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus};

use crate::Error;

/// The answer's header with how many requests the backend has received.
pub const RECEIVED: &str = "received";

/// The answer's header with the port of the backend.
pub const PORT: &str = "port";

/// A request that names this service is not counted and always answered: it asks for the count.
pub const ASK: &str = "received";

/// How a backend behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Answers at once.
    Well,
    /// Takes requests and answers none, until its mood changes.
    Hangs,
    /// Answers `UNAVAILABLE` at once.
    Unavailable,
    /// Answers after so many milliseconds.
    Slow(u64),
}

impl Mood {
    /// As it is told on standard input.
    pub fn line(self) -> String {
        match self {
            Self::Well => "well".to_owned(),
            Self::Hangs => "hangs".to_owned(),
            Self::Unavailable => "unavailable".to_owned(),
            Self::Slow(millis) => format!("slow {millis}"),
        }
    }
}

impl FromStr for Mood {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self, Error> {
        Ok(match line.trim() {
            "well" => Self::Well,
            "hangs" => Self::Hangs,
            "unavailable" => Self::Unavailable,
            other => {
                let millis = other.strip_prefix("slow ").and_then(|millis| millis.parse().ok());
                let known = ["well", "hangs", "unavailable", "slow MILLISECONDS"];
                Self::Slow(millis.ok_or_else(|| Error::unknown("mood", other, known))?)
            }
        })
    }
}

/// The backend. Clones are the same.
#[derive(Debug, Clone)]
pub struct Backend {
    mood: Arc<watch::Sender<Mood>>,
    received: Arc<AtomicU64>,
    port: u16,
}

impl Backend {
    /// One that is well.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            mood: Arc::new(watch::Sender::new(Mood::Well)),
            received: Arc::default(),
            port: address.port(),
        }
    }

    /// Serves for ever.
    pub async fn serve(self, listener: TcpListener) {
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let server = Server::builder().add_service(HealthServer::new(self));
        // When it ends, its clients see it.
        drop(server.serve_with_incoming(incoming).await);
    }

    /// Follows the moods that it is told, line by line, to the end of `lines`.
    ///
    /// # Errors
    /// When a line is no mood, or can not be read.
    pub fn obey(&self, lines: impl BufRead) -> Result<(), Error> {
        for line in lines.lines() {
            let line = line.map_err(Error::io("cannot read what the parent process says"))?;
            self.mood.send_replace(line.parse()?);
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl Health for Backend {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let asks = request.get_ref().service == ASK;
        if !asks {
            self.received.fetch_add(1, Ordering::Relaxed);
            let mut mood = self.mood.subscribe();
            let now = *mood.borrow_and_update();
            match now {
                Mood::Well => {}
                Mood::Hangs => drop(mood.changed().await),
                Mood::Unavailable => return Err(Status::unavailable("told to")),
                Mood::Slow(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            }
        }
        let mut response = Response::new(HealthCheckResponse {
            status: ServingStatus::Serving.into(),
        });
        let received = self.received.load(Ordering::Relaxed);
        response.metadata_mut().insert(RECEIVED, received.into());
        response.metadata_mut().insert(PORT, self.port.into());
        Ok(response)
    }

    type WatchStream = tonic::codegen::tokio_stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("only Check"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mood_is_told_as_it_is_read_and_nonsense_lists_what_there_is() {
        for mood in [Mood::Well, Mood::Hangs, Mood::Unavailable, Mood::Slow(200)] {
            assert_eq!(mood.line().parse::<Mood>().unwrap(), mood);
        }
        let error = "merry".parse::<Mood>().unwrap_err().to_string();
        assert!(
            error.contains("'merry'") && error.contains("unavailable"),
            "{error}"
        );
    }
}
