//! Three collectors that come and go.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::keys::Deed;
use crate::ledger::Run;
use crate::sink::{Answer, Behaviour, Sink};

/// How late the slow one answers, and for how long the throttling one wants to be left alone.
const SLOW: Duration = Duration::from_millis(200);
const THROTTLE: Duration = Duration::from_secs(1);

/// How many there are.
pub(super) const COLLECTORS: usize = 3;

#[derive(Debug)]
pub(super) struct Collectors([Collector; COLLECTORS]);

/// One of them. What arrived outlives its death.
#[derive(Debug)]
pub(super) struct Collector {
    sink: Sink,
    address: SocketAddr,
    /// What serves, while it lives.
    server: Option<JoinHandle<()>>,
}

impl Collectors {
    pub(super) async fn start() -> io::Result<Self> {
        let one = Collector::start;
        Ok(Self([one().await?, one().await?, one().await?]))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Collector> {
        self.0.iter()
    }

    pub(super) fn urls(&self) -> impl Iterator<Item = String> {
        self.iter().map(Collector::url)
    }

    /// Does it to the collector of this index.
    pub(super) async fn apply(&mut self, deed: Deed, which: usize) -> io::Result<()> {
        let collector = &mut self.0[which];
        let behaviour = match deed {
            Deed::Kill => {
                collector.kill().await;
                return Ok(());
            }
            Deed::Restore => Behaviour::default(),
            Deed::Slow => Behaviour {
                latency: SLOW,
                answer: Answer::Accept,
            },
            Deed::Hang => answering(Answer::Hang),
            Deed::Error => answering(Answer::Fail(evenkeel_otlp::rpc::Code::Unavailable)),
            Deed::Throttle => answering(Answer::Throttle(THROTTLE)),
        };
        collector.sink.behave(behaviour);
        collector.live().await
    }
}

fn answering(answer: Answer) -> Behaviour {
    Behaviour {
        latency: Duration::ZERO,
        answer,
    }
}

impl Collector {
    async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let sink = Sink::with_journal();
        Ok(Self {
            address: listener.local_addr()?,
            server: Some(tokio::spawn(sink.clone().serve(listener))),
            sink,
        })
    }

    /// Ends its port and its connections, with whatever is on them.
    async fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            // It was aborted; there is nothing else to know.
            let _ = server.await;
        }
    }

    async fn live(&mut self) -> io::Result<()> {
        if self.server.is_none() {
            let listener = TcpListener::bind(self.address).await?;
            self.server = Some(tokio::spawn(self.sink.clone().serve(listener)));
        }
        Ok(())
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans that arrived since this was asked last. There is one sender.
    pub(super) fn arrived(&self) -> impl Iterator<Item = Run> {
        self.sink.take().into_iter().map(|(_, run)| run)
    }

    /// In words.
    pub(super) fn behaviour(&self) -> String {
        if self.server.is_some() {
            self.sink.behaviour().to_string()
        } else {
            "killed".to_owned()
        }
    }
}
