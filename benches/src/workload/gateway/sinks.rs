//! The collectors behind whoever is measured: three of `evenkeel sink`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;

use super::ask::ask;
use super::process::Process;
use crate::Error;

/// How many there are.
pub(super) const SINKS: usize = 3;

/// The one that it happens to.
pub(super) const VICTIM: usize = 0;

/// Three collectors.
#[derive(Debug)]
pub(super) struct Sinks {
    evenkeel: PathBuf,
    processes: [Option<Process>; SINKS],
    pub(super) addresses: [SocketAddr; SINKS],
    /// Where they keep their accounts, if these are to survive a kill.
    ledgers: Option<PathBuf>,
    behaviour: String,
}

impl Sinks {
    /// That count requests and no more: what a benchmark of throughput can afford.
    pub(super) async fn start(evenkeel: &Path) -> Result<Self, Error> {
        Self::start_with(evenkeel, None, "well").await
    }

    /// That know again every span, even if they are killed. `folder` is for their accounts.
    pub(super) async fn start_with_ledgers(
        evenkeel: &Path,
        folder: &Path,
        behaviour: &str,
    ) -> Result<Self, Error> {
        Self::start_with(evenkeel, Some(folder.to_owned()), behaviour).await
    }

    async fn start_with(evenkeel: &Path, ledgers: Option<PathBuf>, behaviour: &str) -> Result<Self, Error> {
        let any = crate::server::LOOPBACK;
        let mut sinks = Self {
            evenkeel: evenkeel.to_owned(),
            processes: [None, None, None],
            addresses: [any; SINKS],
            ledgers,
            behaviour: behaviour.to_owned(),
        };
        for which in 0..SINKS {
            sinks.start_one(which).await?;
        }
        Ok(sinks)
    }

    /// Starts one, where it was if it was there before.
    pub(super) async fn start_one(&mut self, which: usize) -> Result<(), Error> {
        let mut command = Command::new(&self.evenkeel);
        command
            .args(["sink", "--threads", "1", "--until-stdin-ends", "--behave"])
            .arg(&self.behaviour)
            .args(["--listen", &self.addresses[which].to_string()]);
        match &self.ledgers {
            Some(folder) => command.arg("--ledger").arg(folder.join(format!("sink-{which}"))),
            None => command.args(["--count", "requests"]),
        };
        let mut process = Process::start("evenkeel sink", &mut command)?;
        self.addresses[which] = process.announced().await?;
        self.processes[which] = Some(process);
        Ok(())
    }

    pub(super) async fn kill(&mut self, which: usize) -> Result<(), Error> {
        match self.processes[which].take() {
            Some(mut process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// How it behaves from now on, as `evenkeel sink --behave` has it.
    pub(super) async fn tell(&self, which: usize, behaviour: &str) -> Result<(), Error> {
        self.ask(which, "POST", "/control", behaviour).await.map(drop)
    }

    /// How all of them behave from now on.
    pub(super) async fn tell_all(&self, behaviour: &str) -> Result<(), Error> {
        for which in 0..SINKS {
            self.tell(which, behaviour).await?;
        }
        Ok(())
    }

    /// How many requests it has received since it was started.
    pub(super) async fn received(&self, which: usize) -> Result<u64, Error> {
        let report = self.ask(which, "GET", "/report", "").await?;
        let report: Value =
            serde_json::from_str(&report).map_err(|e| Error::contender("a sink's report", e))?;
        let requests = report.get("requests").and_then(Value::as_u64);
        requests.ok_or_else(|| Error::Contender("a sink does not say what it received".to_owned()))
    }

    pub(super) fn urls(&self) -> [String; SINKS] {
        self.addresses.map(|address| format!("http://{address}"))
    }

    async fn ask(&self, which: usize, method: &str, path: &str, body: &str) -> Result<String, Error> {
        ask("a sink", self.addresses[which], method, path, body).await
    }
}
