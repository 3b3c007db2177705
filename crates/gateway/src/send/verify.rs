//! What was acknowledged against what arrived.

use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};

use crate::ledger::{IdSet, SenderId};
use crate::sink::{Arrived, Report};

/// A sink has this long to say what arrived.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often to ask whether the rest has arrived.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// What arrived of what one run sent, over all sinks together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verified {
    /// Spans that arrived, each as often as it did.
    pub(crate) arrivals: u64,
    /// Different spans that arrived.
    pub(crate) unique: u64,
    /// Spans that were acknowledged and did not arrive. The one figure that must be 0.
    pub(crate) lost: u64,
    /// Arrivals beyond the first of each span.
    pub(crate) duplicates: u64,
    /// Spans that arrived though their sender was told that they had not.
    pub(crate) unacknowledged: u64,
}

/// Why it could not be found out.
#[derive(Debug, thiserror::Error)]
#[error("sink {sink}: {problem}")]
pub(crate) struct Error {
    sink: Uri,
    problem: String,
}

/// Compares.
fn compare(acknowledged: &IdSet, arrived: &[Arrived]) -> Verified {
    let mut all = IdSet::default();
    let mut arrivals = 0;
    for sink in arrived {
        arrivals += sink.arrivals;
        for &run in &sink.runs {
            all.insert_run(run);
        }
    }
    Verified {
        arrivals,
        unique: all.len(),
        lost: acknowledged.missing_in(&all),
        duplicates: arrivals.saturating_sub(all.len()),
        unacknowledged: all.missing_in(acknowledged),
    }
}

/// Asks all sinks, again and again until nothing is missing or `settle` is over.
pub(super) async fn against(
    sinks: &[Uri],
    sender: SenderId,
    acknowledged: &IdSet,
    settle: Duration,
) -> Result<Verified, Error> {
    let start = Instant::now();
    loop {
        let mut arrived = Vec::new();
        for sink in sinks {
            arrived.push(ask(sink, sender).await?);
        }
        let verified = compare(acknowledged, &arrived);
        if verified.lost == 0 || start.elapsed() >= settle {
            return Ok(verified);
        }
        sleep(ASK_EVERY).await;
    }
}

async fn ask(sink: &Uri, sender: SenderId) -> Result<Arrived, Error> {
    let problem = |problem: String| Error {
        sink: sink.clone(),
        problem,
    };
    let answer = timeout(PATIENCE, get(sink)).await;
    let answer = answer.map_err(|_| problem(format!("no report within {PATIENCE:?}")))?;
    let body = answer.map_err(|e| problem(e.to_string()))?;
    let report: Report = serde_json::from_slice(&body).map_err(|e| problem(format!("no report: {e}")))?;
    if report.uncounted > 0 {
        let uncounted = report.uncounted;
        return Err(problem(format!(
            "there was no room to tell {uncounted} spans apart"
        )));
    }
    Ok(report.senders.get(&sender).cloned().unwrap_or_default())
}

async fn get(sink: &Uri) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
    let mut parts = sink.clone().into_parts();
    parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/report?runs"));
    let client: legacy::Client<HttpConnector, Empty<Bytes>> =
        legacy::Client::builder(TokioExecutor::new()).build_http();
    let response = client.get(Uri::from_parts(parts)?).await?;
    Ok(response.into_body().collect().await?.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_is_there_twice_is_found() {
        let mut acknowledged = IdSet::default();
        acknowledged.insert_run((1, 100));
        let arrived = |runs: &[(u64, u64)]| Arrived {
            arrivals: runs.iter().map(|&(_, count)| count).sum(),
            runs: runs.to_vec(),
            ..Arrived::default()
        };
        let verified = compare(
            &acknowledged,
            &[arrived(&[(1, 60)]), arrived(&[(51, 40), (101, 7)])],
        );
        let expected = Verified {
            arrivals: 107,
            unique: 97,
            lost: 10,
            duplicates: 10,
            unacknowledged: 7,
        };
        assert_eq!(verified, expected);
    }
}
