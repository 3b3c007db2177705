//! Every gRPC code and every HTTP status: what becomes of the request, and of the collector that said it. What is
//! expected is read from the README's table.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_otlp::rpc::{Code, RpcStatus};
use evenkeel_otlp::{Protocol, SendError};

use crate::collector::{Act, Collector, client_with, connected, export};

/// What is to come of a request whose first collector answers in some way and whose second accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is acknowledged.
    Taken,
    /// It is sent again, elsewhere.
    Again,
    /// It is given up.
    Dropped,
}

/// What is thought of the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thought {
    Well,
    Failed,
    /// Asked, or made to wonder whether it wants, to be sent less.
    Overloaded,
    NotJudged,
}

/// The README's table: by code or status, and whether it says for how long it is to be left alone.
#[derive(Debug, Default)]
struct Table {
    rows: BTreeMap<(String, bool), (Fate, Thought)>,
}

impl Table {
    fn read() -> Self {
        let mut table = Self::default();
        let rows = include_str!("../../README.md").lines();
        let rows = rows.skip_while(|line| !line.starts_with("| gRPC | HTTP |"));
        for row in rows.skip(2).take_while(|line| line.starts_with('|')) {
            let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [grpc, http, request, collector] = cells[..] else {
                panic!("{row}");
            };
            let fate = match request {
                "is acknowledged" => Fate::Taken,
                "goes elsewhere" => Fate::Again,
                "is refused" => Fate::Dropped,
                _ => panic!("{row}"),
            };
            let thought = match collector {
                "is well" => Thought::Well,
                "failed" => Thought::Failed,
                "is overloaded" | "is left alone for as long" => Thought::Overloaded,
                "is not judged" => Thought::NotJudged,
                _ => panic!("{row}"),
            };
            let said = grpc.split(", ").chain(http.split(", "));
            for said in said.filter(|said| !said.is_empty()) {
                let (said, delay) = match said.split_once(" with ") {
                    Some((said, "`RetryInfo`" | "`Retry-After`")) => (said, true),
                    Some(_) => panic!("{row}"),
                    None => (said, false),
                };
                let said = said.trim_start_matches("other ").trim_matches('`');
                let twice = table.rows.insert((said.to_owned(), delay), (fate, thought));
                assert_eq!(twice, None, "{said} stands there twice");
            }
        }
        table
    }

    fn row(&self, said: &str, delay: bool) -> Option<(Fate, Thought)> {
        let row = |delay| self.rows.get(&(said.to_owned(), delay)).copied();
        row(delay).or_else(|| row(false))
    }

    fn of_grpc(&self, code: Code, delay: bool) -> (Fate, Thought) {
        self.row(code.as_str(), delay)
            .unwrap_or_else(|| panic!("{code} is not in the table"))
    }

    fn of_http(&self, status: u16, delay: bool) -> (Fate, Thought) {
        let (exact, class) = (status.to_string(), format!("{}xx", status / 100));
        self.row(&exact, delay)
            .or_else(|| self.row(&class, delay))
            .unwrap_or_else(|| panic!("{status} is not in the table"))
    }
}

/// Sends one request to a collector that answers `act` and, if that may be, to another. Says what became of it,
/// and what is thought of the first.
async fn fate_of(protocol: Protocol, act: Act) -> (Fate, Thought) {
    let (bad, good) = (Collector::start(protocol).await, Collector::start(protocol).await);
    bad.usually(act.clone());
    let client = client_with([&bad], |config| {
        config.balancer.max_retries = 1;
        config.health_checks = evenkeel_otlp::HealthChecks::None;
        // The other is asked only when the first was.
        let mut good = good.described();
        good.weight = 0;
        config.collectors.push(good);
    });
    connected(&client).await;
    let sent = client.send(export(1)).await;
    let what = format!("{protocol} {act:?}: {sent:?}");
    let fate = match &sent {
        Ok(accepted) if accepted.attempts == 1 => Fate::Taken,
        Ok(_) => Fate::Again,
        Err(error) => {
            assert!(!error.is_retryable() && !error.status().is_retryable(), "{what}");
            assert!(matches!(error, SendError::Rejected { .. }), "{what}");
            Fate::Dropped
        }
    };
    assert_eq!(bad.count(), 1, "{what}");
    assert_eq!(good.count(), usize::from(fate == Fate::Again), "{what}");
    if fate != Fate::Taken {
        // Alone, it is an error that says the same.
        let alone = client_with([&bad], |config| config.balancer.max_retries = 0);
        let error = alone.send(export(2)).await.unwrap_err();
        assert_eq!(error.is_retryable(), fate == Fate::Again, "{what}: {error}");
        assert_eq!(
            error.status().is_retryable(),
            fate == Fate::Again,
            "{what}: {error}"
        );
    }
    let stats = client.balancer().stats();
    let bad = stats.backends.iter().find(|stats| stats.id.as_str() == bad.url());
    let of = &bad.unwrap().requests;
    let thought = match (of.successes, of.failures, of.overloads, of.cancelled) {
        (1, 0, 0, 0) => Thought::Well,
        (0, 1, 0, 0) => Thought::Failed,
        (0, 0, 1, 0) => Thought::Overloaded,
        (0, 0, 0, 1) => Thought::NotJudged,
        _ => panic!("{what}: {of:?}"),
    };
    (fate, thought)
}

/// The specification's own words, beside which the table adds only what is thought of the collector.
#[test]
fn the_table_repeats_what_the_specification_lets_a_client_repeat() {
    use Code as C;
    let table = Table::read();
    for code in Code::ALL {
        for delay in [false, true] {
            let expected = match code {
                C::Ok => Fate::Taken,
                C::Cancelled
                | C::DeadlineExceeded
                | C::Aborted
                | C::OutOfRange
                | C::Unavailable
                | C::DataLoss => Fate::Again,
                C::ResourceExhausted if delay => Fate::Again,
                _ => Fate::Dropped,
            };
            assert_eq!(table.of_grpc(code, delay).0, expected, "{code}");
        }
    }
    for status in 200..=599 {
        let expected = match status {
            200..=299 => Fate::Taken,
            429 | 502 | 503 | 504 => Fate::Again,
            _ => Fate::Dropped,
        };
        for delay in [false, true] {
            assert_eq!(table.of_http(status, delay).0, expected, "{status}");
        }
    }
}

#[tokio::test]
async fn each_grpc_code_comes_to_what_the_table_says() {
    let table = Table::read();
    for code in Code::ALL {
        for delay in [false, true] {
            let mut status = RpcStatus::new(code, "as you like it");
            if delay {
                status = status.with_retry_delay(Duration::from_millis(50));
            }
            let fate = fate_of(Protocol::Grpc, Act::Status(status)).await;
            assert_eq!(fate, table.of_grpc(code, delay), "{code}, {delay}");
        }
    }
}

/// Those that exist, and some that do not.
fn statuses() -> impl Iterator<Item = u16> {
    let good = [200, 201, 202, 203, 206, 226];
    // 204, 205 and 304 have no body, by the rules of HTTP.
    let moved = (300..=308).filter(|&status| status != 304);
    let refused = (400..=431).chain([451, 499]);
    good.into_iter()
        .chain(moved)
        .chain(refused)
        .chain(500..=511)
        .chain([520, 599])
}

#[tokio::test]
async fn each_http_status_comes_to_what_the_table_says() {
    let table = Table::read();
    for status in statuses() {
        let after: &[_] = &[("retry-after", "1")];
        for headers in [&[], after] {
            let expected = table.of_http(status, !headers.is_empty());
            let plain = Act::Http(status, headers, Vec::new());
            let fate = fate_of(Protocol::HttpProtobuf, plain).await;
            assert_eq!(fate, expected, "{status}, {headers:?}");
        }
        if status < 300 {
            continue;
        }
        // A body that says otherwise changes nothing.
        let expected = table.of_http(status, false);
        let otherwise = match expected.0 {
            Fate::Again => RpcStatus::new(Code::InvalidArgument, "no"),
            _ => RpcStatus::new(Code::Unavailable, "yes"),
        };
        let act = Act::Http(status, &[], otherwise.encode_protobuf());
        assert_eq!(fate_of(Protocol::HttpProtobuf, act).await, expected, "{status}");
    }
}

/// A proxy before the collector answers by itself.
#[tokio::test]
async fn an_http_answer_to_grpc_counts_by_the_http_table() {
    let table = Table::read();
    for status in [200, 302, 400, 401, 403, 404, 408, 413, 429, 500, 502, 503, 504] {
        let page = Act::Http(status, &[("content-type", "text/html")], b"<h1>no</h1>".to_vec());
        let fate = fate_of(Protocol::Grpc, page).await;
        let expected = match status {
            // No success, whatever it thinks.
            200 => (Fate::Dropped, Thought::Failed),
            status => table.of_http(status, false),
        };
        assert_eq!(fate, expected, "{status}");
    }
}

#[tokio::test]
async fn no_answer_at_all_is_sent_again() {
    let refused = Act::Reset(h2::Reason::REFUSED_STREAM);
    let lost = [
        (Protocol::Grpc, Act::Cut, Thought::Failed),
        (Protocol::Grpc, Act::NoStatus, Thought::Failed),
        // It says itself that it has not looked at it.
        (Protocol::Grpc, refused, Thought::NotJudged),
        (
            Protocol::Grpc,
            Act::Reset(h2::Reason::INTERNAL_ERROR),
            Thought::Failed,
        ),
        (Protocol::HttpProtobuf, Act::Cut, Thought::Failed),
    ];
    for (protocol, act, thought) in lost {
        let fate = fate_of(protocol, act.clone()).await;
        assert_eq!(fate, (Fate::Again, thought), "{act:?}");
    }
}
