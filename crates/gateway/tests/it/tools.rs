//! `sink` and `send`: what one of them says must be true of the other.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const EVENKEEL: &str = env!("CARGO_BIN_EXE_evenkeel");

/// A sink in a process of its own, on a port of its own. Killed when dropped.
struct Sink {
    process: Child,
    address: SocketAddr,
}

impl Sink {
    fn start(arguments: &[&str]) -> Self {
        Self::at("127.0.0.1:0", arguments)
    }

    fn at(listen: &str, arguments: &[&str]) -> Self {
        let mut process = Command::new(EVENKEEL)
            .args(["sink", "--listen", listen, "--threads", "1", "--until-stdin-ends"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = process.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
        Self { process, address }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Status and body.
    fn http(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: sink\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
        (status, answer[end + 4..].to_vec())
    }

    fn behave(&self, behaviour: &str) {
        let (status, body) = self.http("POST", "/control", "", behaviour.as_bytes());
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    }

    fn report(&self) -> Value {
        serde_json::from_slice(&self.http("GET", "/report?runs", "", b"").1).unwrap()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn send(arguments: &[&str]) -> (Output, Value) {
    let output = Command::new(EVENKEEL)
        .args(["send", "--json", "--threads", "1"])
        .args(arguments)
        .output()
        .unwrap();
    let account = serde_json::from_slice(&output.stdout);
    let account = account.unwrap_or_else(|e| panic!("{e}: {output:?}"));
    (output, account)
}

#[test]
fn every_span_that_is_acknowledged_is_known_again() {
    for protocol in ["grpc", "http"] {
        let sinks = [Sink::start(&[]), Sink::start(&[])];
        let (output, account) = send(&[
            "--to",
            &sinks[0].url(),
            "--protocol",
            protocol,
            "--count",
            "50",
            "--spans",
            "30",
            "--sink",
            &sinks[0].url(),
            "--sink",
            &sinks[1].url(),
        ]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(account["requests"], 50);
        assert_eq!(account["acknowledged_spans"], 1500);
        assert_eq!(account["verified"]["unique"], 1500);
        assert_eq!(account["verified"]["lost"], 0);
        assert_eq!(account["verified"]["duplicates"], 0);
        let report = sinks[0].report();
        assert_eq!(
            (report["accepted"].clone(), report["items"].clone()),
            (50.into(), 1500.into())
        );
        let sender = account["sender"].as_str().unwrap();
        assert_eq!(report["senders"][sender]["runs"], serde_json::json!([[1, 1500]]));
    }
}

#[test]
fn a_sink_that_was_not_asked_to_count_is_found_to_have_lost_all() {
    let sink = Sink::start(&["--count", "items"]);
    let arguments = [
        "--to",
        &sink.url(),
        "--sink",
        &sink.url(),
        "--count",
        "3",
        "--settle",
        "0s",
    ];
    let (output, account) = send(&arguments);
    assert!(!output.status.success());
    assert_eq!(account["verified"]["lost"], 300);
    assert!(String::from_utf8_lossy(&output.stderr).contains("300 acknowledged spans"));
}

#[test]
fn an_error_reaches_the_sender_as_what_it_is() {
    let sink = Sink::start(&[]);
    for (behaviour, grpc, http) in [
        ("fail=UNAVAILABLE", "UNAVAILABLE", "HTTP 503"),
        ("fail=INVALID_ARGUMENT", "INVALID_ARGUMENT", "HTTP 400"),
        ("throttle=1ms", "UNAVAILABLE", "HTTP 503"),
    ] {
        sink.behave(behaviour);
        for (protocol, reason) in [("grpc", grpc), ("http", http)] {
            let (_, account) = send(&["--to", &sink.url(), "--protocol", protocol, "--count", "2"]);
            assert_eq!(
                account["failures"],
                serde_json::json!({ reason: 2 }),
                "{behaviour}"
            );
            assert_eq!(account["failed_spans"], 200);
        }
    }
}

#[test]
fn a_partial_success_is_a_success() {
    let sink = Sink::start(&["--behave", "partial=5"]);
    for protocol in ["grpc", "http"] {
        let (_, account) = send(&["--to", &sink.url(), "--protocol", protocol, "--count", "2"]);
        assert_eq!(account["acknowledged_spans"], 200, "{account}");
    }
    let json = "content-type: application/json\r\n";
    let (status, body) = sink.http("POST", "/v1/logs", json, b"{}");
    let body = String::from_utf8(body).unwrap();
    assert_eq!(status, 200);
    assert!(body.contains(r#""rejectedLogRecords":"5""#), "{body}");
}

#[test]
fn a_request_that_hangs_is_given_up_and_the_health_check_answers() {
    let sink = Sink::start(&["--behave", "hang"]);
    let arguments = [
        "--to",
        &sink.url(),
        "--sink",
        &sink.url(),
        "--count",
        "4",
        "--timeout",
        "50ms",
    ];
    let (output, account) = send(&arguments);
    assert!(
        !output.status.success(),
        "nothing was acknowledged, which is no proof"
    );
    assert_eq!(account["failures"]["timed out"], 4);
    assert_eq!(account["verified"]["unique"], 0);
    assert_eq!(sink.http("GET", "/healthz", "", b"").0, 200);
    assert_eq!(sink.report()["accepted"], 0);
}

#[test]
fn what_a_sink_has_seen_survives_its_kill() {
    let folder = std::env::temp_dir().join(format!("evenkeel-ledger-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("ledger");
    let path = path.to_str().unwrap();
    let sink = Sink::start(&["--ledger", path]);
    let at = sink.address.to_string();
    let (_, first) = send(&["--to", &sink.url(), "--count", "3"]);
    drop(sink);
    // As if it had been killed in the middle of a record.
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(&[7; 9]).unwrap();
    drop(file);
    let sink = Sink::at(&at, &["--ledger", path]);
    let (_, second) = send(&["--to", &sink.url(), "--count", "2"]);
    drop(sink);
    let report = Sink::start(&["--ledger", path]).report();
    let unique = |account: &Value| report["senders"][account["sender"].as_str().unwrap()]["unique"].clone();
    assert_eq!((unique(&first), unique(&second)), (300.into(), 200.into()));
    std::fs::remove_dir_all(Path::new(&folder)).unwrap();
}

#[test]
fn with_retries_a_request_outlives_a_refusal() {
    let sink = Sink::start(&["--behave", "fail=UNAVAILABLE"]);
    let (url, control) = (sink.url(), sink.url());
    let sender =
        std::thread::spawn(move || send(&["--to", &url, "--count", "2", "--retry", "--timeout", "60s"]));
    while sink.report()["refused"].as_u64() < Some(2) {
        std::thread::yield_now();
    }
    sink.behave("well");
    let (_, account) = sender.join().unwrap();
    assert_eq!(account["acknowledged_spans"], 200, "{control}: {account}");
    assert!(account["attempts"].as_u64() >= Some(4));
}

#[test]
fn what_does_not_fit_into_the_queue_of_a_serial_sender_is_dropped_and_counted() {
    let sink = Sink::start(&["--behave", "hang"]);
    let arguments = [
        "--to",
        &sink.url(),
        "--serial",
        "--rate",
        "1000",
        "--count",
        "30",
        "--queue",
        "250",
        "--timeout",
        "1s",
    ];
    let (_, account) = send(&arguments);
    // One batch is under way, two and a half are in the queue, for those there was room.
    let count = |name: &str| account[name].as_u64().unwrap();
    assert_eq!(count("longest_queue"), 250);
    assert!(count("dropped_spans") > 0);
    assert_eq!(count("failed_spans") + count("dropped_spans"), 3000, "{account}");
}

#[test]
fn a_request_of_nonsense_is_refused_and_harms_nobody() {
    let sink = Sink::start(&[]);
    let protobuf = "content-type: application/x-protobuf\r\n";
    assert_eq!(sink.http("POST", "/v1/traces", protobuf, b"\x0a\x7f").0, 400);
    assert_eq!(sink.http("POST", "/v1/nothing", protobuf, b"").0, 404);
    assert_eq!(
        sink.http("POST", "/v1/traces", "content-type: text/csv\r\n", b"")
            .0,
        415
    );
    assert_eq!(sink.http("POST", "/control", "", b"merry").0, 400);
    assert_eq!(sink.http("GET", "/control", "", b"").1, b"well\n");
    assert_eq!(sink.http("POST", "/v1/traces", protobuf, b"").0, 200);
    let report = sink.report();
    assert_eq!((&report["accepted"], &report["refused"]), (&1.into(), &1.into()));
}

/// The demo with these keys typed ahead; what it printed, and whether it ended well.
fn demo(keys: &[u8], arguments: &[&str]) -> (String, bool) {
    let mut demo = Command::new(EVENKEEL)
        .arg("demo")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    demo.stdin.take().unwrap().write_all(keys).unwrap();
    let output = demo.wait_with_output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.success())
}

#[test]
fn the_demo_loses_nothing_while_collectors_die_hang_and_come_back() {
    let (said, well) = demo(b"k1h2r1s1e1k1r1", &["--seconds", "4", "--rate", "50"]);
    assert!(well, "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.contains(" 0 lost"), "{said}");
    assert!(said.contains("2 hang: "), "{said}");
}

#[test]
fn the_demo_ends_by_its_key() {
    let (said, well) = demo(b"q", &[]);
    assert!(
        well && said.lines().last().unwrap().contains("requests:"),
        "{said}"
    );
}
