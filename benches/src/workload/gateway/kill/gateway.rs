//! The gateway that is killed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;
use tokio::time::Instant;

use crate::Error;
use crate::workload::gateway::ask::ask;
use crate::workload::gateway::process::{Process, free_address};
use crate::workload::gateway::sinks::SINKS;

/// `evenkeel run` at addresses that stay, with a queue on disk or without.
#[derive(Debug)]
pub(super) struct Gateway {
    evenkeel: PathBuf,
    config: PathBuf,
    pub(super) grpc: SocketAddr,
    admin: SocketAddr,
    process: Option<Process>,
}

/// What it says of its queue.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Queue {
    /// Requests in it.
    pub(super) records: u64,
    /// Requests that were in it when it was opened.
    pub(super) replayed: u64,
}

#[derive(Debug, Deserialize)]
struct Status {
    queue: Option<Queue>,
}

impl Gateway {
    /// With all by default, and as many threads as proxies have elsewhere. Its files are in `folder`.
    pub(super) fn new(
        evenkeel: &Path,
        folder: &Path,
        collectors: [String; SINKS],
        queue: bool,
    ) -> Result<Self, Error> {
        let (grpc, admin) = (free_address()?, free_address()?);
        let mut text = format!(
            "threads = 2\nreceiver.grpc = \"{grpc}\"\nreceiver.http = \"off\"\nadmin.listen = \"{admin}\"\n"
        );
        if queue {
            // As TOML has it: a path may have anything in it.
            text.push_str(&format!("queue.dir = {:?}\n", folder.join("queue")));
        }
        for collector in collectors {
            text.push_str(&format!("[[collectors]]\nendpoint = \"{collector}\"\n"));
        }
        let config = folder.join("evenkeel.toml");
        std::fs::write(&config, text).map_err(Error::io("cannot write a config"))?;
        Ok(Self {
            evenkeel: evenkeel.to_owned(),
            config,
            grpc,
            admin,
            process: None,
        })
    }

    /// Starts it; how long it took until it listens.
    pub(super) async fn start(&mut self) -> Result<Duration, Error> {
        let begun = Instant::now();
        let mut command = Command::new(&self.evenkeel);
        command
            .args(["run", "--log", "error", "--config"])
            .arg(&self.config);
        let mut process = Process::start("evenkeel run", &mut command)?;
        process.listens(self.grpc).await?;
        self.process = Some(process);
        Ok(begun.elapsed())
    }

    /// Kills it with -9, and waits until it is dead.
    pub(super) async fn kill(&mut self) -> Result<(), Error> {
        match self.process.take() {
            Some(mut process) => process.kill().await,
            None => Ok(()),
        }
    }

    pub(super) async fn stop(self) -> Result<(), Error> {
        match self.process {
            Some(process) => process.stop().await,
            None => Ok(()),
        }
    }

    /// How its queue stands, if it has one.
    pub(super) async fn queue(&self) -> Result<Option<Queue>, Error> {
        let status = ask("the gateway", self.admin, "GET", "/status", "").await?;
        let status: Status =
            serde_json::from_str(&status).map_err(|e| Error::contender("the gateway's status", e))?;
        Ok(status.queue)
    }
}
