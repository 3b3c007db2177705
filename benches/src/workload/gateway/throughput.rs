//! Scenario `gateway`: how many batches pass, and what that costs whoever they pass through.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::folder::Folder;
use super::proxy::Proxy;
use super::send;
use super::sinks::Sinks;
use crate::workload::Task;
use crate::{Error, Metrics, Report};

/// Connections of the sender over gRPC to each target: more than one, so that a proxy can use its threads.
const CONNECTIONS: usize = 4;

/// A kind of load: its name in the figures, the protocol, and how many requests are in flight.
const LOADS: [(&str, &str, usize); 3] = [
    ("grpc_16", "grpc", 16),
    ("grpc_64", "grpc", 64),
    ("http_16", "http", 16),
];

/// Runs one contender.
pub(in crate::workload) fn run(task: &Task) -> Result<Report, Error> {
    super::runtime()?.block_on(measure(task))
}

async fn measure(task: &Task) -> Result<Report, Error> {
    let evenkeel = task.evenkeel()?;
    let length = Duration::from_millis(task.params.required("length_ms")? as u64);
    let warm_up = Duration::from_millis(task.params.required("warm_up_ms")? as u64);
    let spans = task.params.required("spans")?;
    let folder = Folder::new()?;
    let sinks = Sinks::start(evenkeel).await?;
    let proxy = Proxy::start(&task.contender, evenkeel, sinks.addresses, folder.path()).await?;
    let mut metrics = Metrics::default();
    for (name, protocol, in_flight) in LOADS {
        let targets = if protocol == "grpc" {
            &proxy.grpc
        } else {
            &proxy.http
        };
        let load = Load {
            targets,
            protocol,
            in_flight,
            spans,
        };
        load.run(evenkeel, warm_up).await?;
        let before = proxy.cpu()?;
        let account = load.run(evenkeel, length).await?;
        let after = proxy.cpu()?;
        metrics.set(&format!("{name}_rate"), account.rate);
        metrics.set(&format!("{name}_p50"), account.latency_ms.p50);
        metrics.set(&format!("{name}_p99"), account.latency_ms.p99);
        if let (Some(before), Some(after)) = (before, after) {
            let cpu = (after - before).as_secs_f64();
            let per_100k = cpu / account.acknowledged_spans as f64 * 1e5;
            // Noted in thousandths, which are milliseconds.
            metrics.set(&format!("{name}_cpu"), per_100k * 1e3);
        }
    }
    if let Some(bytes) = proxy.memory()? {
        metrics.set("memory", bytes as f64 / 1e6);
    }
    proxy.stop().await?;
    Ok(Report::of(&task.contender, metrics))
}

struct Load<'a> {
    targets: &'a [SocketAddr],
    protocol: &'a str,
    in_flight: usize,
    spans: usize,
}

impl Load<'_> {
    async fn run(&self, evenkeel: &Path, length: Duration) -> Result<send::Account, Error> {
        // As many connections in all to one proxy as to three collectors, or nearly.
        let connections = CONNECTIONS.div_ceil(self.targets.len());
        let mut arguments = vec![
            format!("--duration={}ms", length.as_millis()),
            format!("--protocol={}", self.protocol),
            format!("--in-flight={}", self.in_flight),
            format!("--spans={}", self.spans),
            format!("--connections={connections}"),
        ];
        arguments.extend(self.targets.iter().map(|target| format!("--to=http://{target}")));
        let account = send::run(evenkeel, &arguments).await?;
        if account.requests == 0 || account.failed() > 0 {
            // Failing is faster than delivering: such figures would be worth nothing.
            let failures = account.failures;
            return Err(Error::Contender(format!(
                "requests failed though all is well: {failures:?}"
            )));
        }
        Ok(account)
    }
}
