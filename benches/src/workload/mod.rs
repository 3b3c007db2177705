//! What contenders do, one module per scenario. This runs in the contender's own process.

pub(crate) mod balancer;
mod concurrency;
mod failover;
mod gateway;
mod io;
mod io_pair;
mod pool;
mod pool_checkout;
mod pool_spike;
mod stats;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::scenario::Params;
use crate::{Error, Report};

pub use io::{Dial, Evenkeel, HyperUtil, RawTokio, TokioTimeouts};

/// What a contender is given.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its name; where all share a process, their names with commas between.
    pub contender: String,
    /// The numbers of the scenario's size.
    pub params: Params,
    /// Where the scenario's server listens, if it has one.
    pub server: Option<SocketAddr>,
    /// The binary `evenkeel`, for scenarios that start it.
    pub evenkeel: Option<PathBuf>,
}

impl Task {
    /// The server's address.
    ///
    /// # Errors
    /// When none was given.
    pub fn server(&self) -> Result<SocketAddr, Error> {
        self.server
            .ok_or_else(|| Error::Usage("this scenario needs --server ADDRESS".to_owned()))
    }

    /// Where the binary `evenkeel` is.
    ///
    /// # Errors
    /// When nobody said it.
    pub fn evenkeel(&self) -> Result<&Path, Error> {
        let path = self.evenkeel.as_deref();
        path.ok_or_else(|| {
            Error::Usage("this scenario needs --evenkeel PATH, the gateway's binary".to_owned())
        })
    }
}

/// The code behind a scenario.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    scenario: &'static str,
    contenders: &'static [&'static str],
    run: fn(&Task) -> Result<Report, Error>,
}

/// All of them, in the order of [`crate::scenario::all`].
const WORKLOADS: [Workload; 14] = [
    Workload {
        scenario: "io",
        contenders: io::CONTENDERS,
        run: io::run,
    },
    Workload {
        scenario: "io-pair",
        contenders: io_pair::CONTENDERS,
        run: io_pair::run,
    },
    Workload {
        scenario: "pool",
        contenders: pool::CONTENDERS,
        run: pool::run,
    },
    Workload {
        scenario: "pool-spike",
        contenders: pool_spike::CONTENDERS,
        run: pool_spike::run,
    },
    Workload {
        scenario: "pool-checkout",
        contenders: pool_checkout::CONTENDERS,
        run: pool_checkout::run,
    },
    Workload {
        scenario: "balancer",
        contenders: balancer::CONTENDERS,
        run: balancer::run,
    },
    Workload {
        scenario: "concurrency",
        contenders: concurrency::CONTENDERS,
        run: concurrency::run,
    },
    Workload {
        scenario: "failover",
        contenders: failover::CONTENDERS,
        run: failover::run,
    },
    Workload {
        scenario: "stats",
        contenders: stats::CONTENDERS,
        run: stats::run,
    },
    Workload {
        scenario: "gateway",
        contenders: gateway::CONTENDERS,
        run: gateway::throughput::run,
    },
    Workload {
        scenario: "gateway-route",
        contenders: gateway::route::CONTENDERS,
        run: gateway::route::run,
    },
    Workload {
        scenario: "gateway-faults",
        contenders: gateway::CONTENDERS,
        run: gateway::faults::run,
    },
    Workload {
        scenario: "gateway-serial",
        contenders: gateway::CONTENDERS,
        run: gateway::serial::run,
    },
    Workload {
        scenario: "gateway-kill",
        contenders: gateway::kill::CONTENDERS,
        run: gateway::kill::run,
    },
];

/// The code behind the scenario of that name.
///
/// # Errors
/// When there is none, with the names there are.
pub fn named(scenario: &str) -> Result<Workload, Error> {
    let found = WORKLOADS.into_iter().find(|w| w.scenario == scenario);
    found.ok_or_else(|| Error::unknown("scenario", scenario, WORKLOADS.map(|w| w.scenario)))
}

impl Workload {
    /// The contenders it can run.
    pub fn contenders(&self) -> &'static [&'static str] {
        self.contenders
    }

    /// Runs the task in this process.
    ///
    /// # Errors
    /// When a contender does not exist, or does not do what it is measured for.
    pub fn run(&self, task: &Task) -> Result<Report, Error> {
        for name in task.contender.split(',') {
            if !self.contenders.contains(&name) {
                return Err(Error::unknown("contender", name, self.contenders.iter().copied()));
            }
        }
        (self.run)(task)
    }
}
