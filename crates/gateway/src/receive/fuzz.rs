//! The front under whatever may come in: bytes of all kinds as a connection's input, and requests of all kinds.
//! Bounded runs as plain tests; `PROPTEST_CASES` makes them as long as one likes, and a case that fails is made small
//! and kept in `proptest-regressions`.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use evenkeel_otlp::rpc::RpcStatus;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Receiver;
use super::connections::Connections;
use super::listener::{builder, serve_io};
use crate::admission::Admission;
use crate::config::GatewayConfig;
use crate::deliver::{Delivery, Exchange};
use crate::readiness::Readiness;
use crate::telemetry::Telemetry;

/// More than any limit of time that the gateway has. Time is not waited for here.
const AGES: Duration = Duration::from_secs(3600);

/// So much may be taken by one connection of these: buffers of HTTP/2, tables of headers, and twice `MEMORY`.
const MOST: u64 = 2 << 20;

const MEMORY: usize = 256 << 10;

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A gateway's front, with nobody behind it that takes anything.
struct Front {
    runtime: Runtime,
    receiver: Arc<Receiver>,
    connections: Arc<Connections>,
    config: GatewayConfig,
    _readiness: Readiness,
}

impl Front {
    fn new() -> Self {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        let text = "route = \"trace_id\"\nlimits.memory = \"256KiB\"\nlimits.max_body_size = \"64KiB\"\n\
                    client.timeout = \"50ms\"\nclient.health_checks = \"none\"\n\
                    [[collectors]]\nendpoint = \"http://127.0.0.1:1\"\n\
                    [[collectors]]\nendpoint = \"http://127.0.0.1:2\"";
        let config = GatewayConfig::parse(text, [], |_| {}).unwrap();
        assert_eq!(config.limits.memory.0, MEMORY);
        let telemetry = Arc::<Telemetry>::default();
        let delivery = runtime.block_on(async { Delivery::new(&config) }).unwrap();
        let (readiness, serving) = Readiness::new();
        let limits = config.limits.clone();
        let receiver = Arc::new(Receiver {
            exchange: Arc::new(Exchange::new(delivery, Arc::clone(&telemetry), None)),
            admission: Arc::new(Admission::new(
                limits.requests,
                limits.memory.0,
                Arc::clone(&telemetry),
            )),
            telemetry,
            serving,
            limits,
            watches: Arc::new(Semaphore::new(4)),
        });
        Self {
            runtime,
            receiver,
            connections: Arc::new(Connections::new(4)),
            config,
            _readiness: readiness,
        }
    }

    /// A connection with `client` at its other end, until it is over; then nothing of it is left, and it has not taken
    /// too much.
    fn serve<F: Future<Output = TestCaseResult>>(
        &self,
        client: impl FnOnce(DuplexStream) -> F,
    ) -> TestCaseResult {
        let mut result = Ok(Ok(()));
        let run = || {
            self.runtime.block_on(async {
                let (near, far) = duplex(16 << 10);
                let seat = self.connections.open().unwrap();
                let builder = builder(&self.config.receiver);
                let served = serve_io(
                    TokioIo::new(far),
                    seat.connection(),
                    &builder,
                    Arc::clone(&self.receiver),
                );
                let (ended, served) = tokio::join!(timeout(AGES, client(near)), timeout(AGES, served));
                prop_assert!(served.is_ok(), "the connection does not end");
                prop_assert!(ended.is_ok(), "its client waits in vain");
                ended.unwrap_or(Ok(()))
            })
        };
        // Who counts does not survive panics.
        let used = allocation_counter::measure(|| result = catch_unwind(AssertUnwindSafe(run)));
        result.unwrap_or_else(|panic| resume_unwind(panic))?;
        let admission = &self.receiver.admission;
        // What runs on other threads gives back what it holds when it is done.
        self.runtime.block_on(async {
            while admission.requests() > 0 || self.connections.len() > 0 {
                tokio::task::yield_now().await;
            }
        });
        prop_assert_eq!(admission.bytes(), 0);
        prop_assert_eq!(self.receiver.watches.available_permits(), 4);
        prop_assert!(used.bytes_max < MOST, "{} bytes were taken", used.bytes_max);
        Ok(())
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// Two spans of two traces in one scope.
fn spans() -> Vec<u8> {
    let span = |id: u8| [&[0x12, 18, 0x0a, 16][..], &[id; 16]].concat();
    let scope = [&[0x12, 40][..], &span(1), &span(2)].concat();
    [&[0x0a, 42][..], &scope].concat()
}

fn framed(compressed: bool, message: &[u8]) -> Vec<u8> {
    let mut framed = vec![u8::from(compressed)];
    framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend(message);
    framed
}

/// What is good in some place, and not in others.
fn bodies() -> Vec<Vec<u8>> {
    const JSON: &[u8] = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[
        {"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","name":"n","kind":2}]}]}]}"#;
    let crumbs = [0x0a, 4, 0x12, 2, 0x12, 0].repeat(2000);
    vec![
        Vec::new(),
        spans(),
        framed(false, &spans()),
        framed(true, &gzip(&spans())),
        framed(true, &gzip(&vec![0; 1 << 20])),
        framed(true, &gzip(&crumbs)),
        // It says that it is 4 GiB long.
        [&[0, 0xff, 0xff, 0xff, 0xff][..], &spans()].concat(),
        JSON.to_vec(),
        gzip(JSON),
        gzip(&spans()),
        gzip(&vec![b'['; 1 << 20]),
        b"[".repeat(5000),
        vec![0x1b; 2000],
        vec![7; 70 << 10],
    ]
}

/// A request that is well formed as far as HTTP goes.
#[derive(Clone, Debug)]
struct Asked {
    h2: bool,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn asked() -> impl Strategy<Value = Asked> {
    let known = |values: &[&'static str]| select(values.to_vec()).prop_map(str::to_owned);
    let path = prop_oneof![
        4 => known(&[
            "/v1/traces", "/v1/metrics", "/v1/logs", "/v1/profiles", TRACES,
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
            "/grpc.health.v1.Health/Check",
        ]),
        1 => "/[a-z/.%?=]{0,40}",
    ];
    let method =
        prop_oneof![6 => Just("POST".to_owned()), 1 => known(&["GET", "HEAD", "PUT", "OPTIONS", "X"])];
    let kind = prop_oneof![
        5 => known(&["application/grpc", "application/x-protobuf", "application/json"]),
        1 => known(&["application/grpc+proto", "application/grpc-web", "text/plain", "application/json;charset=x"]),
        1 => "[ -~]{0,30}",
    ];
    let encoding = prop_oneof![known(&["gzip", "identity", "zstd", "", "br"]), "[ -~]{0,10}"];
    let timeout = prop_oneof![known(&["1S", "99999999H", "0n", "10m"]), "[0-9a-zA-Z+ -]{0,10}"];
    let headers = (
        prop::option::weighted(0.9, kind.prop_map(|value| ("content-type".to_owned(), value))),
        prop::option::of((known(&["content-encoding", "grpc-encoding"]), encoding)),
        prop::option::weighted(0.2, timeout.prop_map(|value| ("grpc-timeout".to_owned(), value))),
        vec(("x-[a-z]{1,10}", "[ -~]{0,200}"), 0..4),
    );
    let headers = headers.prop_map(|(kind, encoding, timeout, mut headers)| {
        headers.extend([kind, encoding, timeout].into_iter().flatten());
        headers
    });
    let body = prop_oneof![3 => select(bodies()), 1 => vec(any::<u8>(), 0..300)];
    (any::<bool>(), method, path, headers, body).prop_map(|(h2, method, path, headers, body)| Asked {
        h2,
        method,
        path,
        headers,
        body,
    })
}

/// Asks, and looks at the answer.
async fn ask(near: DuplexStream, asked: &Asked) -> TestCaseResult {
    let uri = if asked.h2 {
        format!("http://gateway{}", asked.path)
    } else {
        asked.path.clone()
    };
    let mut request = Request::builder().method(&*asked.method).uri(uri);
    if !asked.h2 {
        request = request.header("host", "gateway");
    }
    for (name, value) in &asked.headers {
        request = request.header(name, value.trim());
    }
    let Ok(request) = request.body(Full::new(Bytes::from(asked.body.clone()))) else {
        return Err(TestCaseError::reject("it is no request"));
    };
    let response: Response<Incoming> = if asked.h2 {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(near))
            .await
            .unwrap();
        let driven = tokio::spawn(connection);
        let answered = read(sender.send_request(request).await.unwrap(), asked).await;
        drop(sender);
        // It may be told to go while it says goodbye.
        let _ = driven.await;
        return answered;
    } else {
        let (mut sender, connection) = http1::handshake(TokioIo::new(near)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    };
    read(response, asked).await
}

async fn read(response: Response<Incoming>, asked: &Asked) -> TestCaseResult {
    let (head, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let body = collected.to_bytes();
    let status = head.status.as_u16();
    let kind = head.headers.get("content-type");
    if kind.is_some_and(|kind| kind == "application/grpc") {
        prop_assert_eq!(status, 200);
        let found = RpcStatus::from_trailers(&trailers).or_else(|| RpcStatus::from_trailers(&head.headers));
        prop_assert!(found.is_some(), "no grpc-status");
        return Ok(());
    }
    prop_assert!(
        [200, 400, 404, 405, 413, 415, 429, 503, 504].contains(&status),
        "{} is no answer to expect",
        status
    );
    let has_status = match kind.and_then(|kind| kind.to_str().ok()) {
        Some("application/json") => serde_json::from_slice::<serde_json::Value>(&body).is_ok(),
        Some("application/x-protobuf") => RpcStatus::decode_protobuf(&body).is_ok(),
        other => {
            prop_assert!(false, "an answer as {:?}", other);
            false
        }
    };
    prop_assert!(
        has_status || status == 200 || asked.method == "HEAD",
        "{} without a status",
        status
    );
    Ok(())
}

#[test]
fn every_request_gets_a_status_and_leaves_nothing_behind() {
    let front = Front::new();
    let mut runner = TestRunner::new(Config::with_source_file(file!()));
    let run = runner.run(&asked(), |asked| {
        front.serve(|near| async move { ask(near, &asked).await })
    });
    run.unwrap();
}

#[test]
fn an_answer_to_head_has_no_body_over_http2_either() {
    let asked = |h2, path: &str| Asked {
        h2,
        method: "HEAD".to_owned(),
        path: path.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    let front = Front::new();
    for asked in [
        asked(true, "/v1/traces"),
        asked(true, "/"),
        asked(false, "/v1/traces"),
    ] {
        let run = front.serve(|near| async move { ask(near, &asked).await });
        run.unwrap();
    }
}

/// Some requests as they travel, for the damage to begin with.
fn connections() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for body in bodies() {
        for kind in ["application/x-protobuf", "application/json", "application/grpc"] {
            let head = format!(
                "POST /v1/traces HTTP/1.1\r\nhost: g\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            all.push([head.as_bytes(), &body].concat());
        }
        let chunked = "POST /v1/traces HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\n\
                       content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n";
        let (head, tail) = (format!("{chunked}{:x}\r\n", body.len()), b"\r\n0\r\n\r\n");
        all.push([head.as_bytes(), &body, tail].concat());
        all.push(http2(&body));
    }
    all.push(b"GET /healthz HTTP/1.0\r\n\r\n".to_vec());
    all.push(
        b"POST /v1/logs HTTP/1.1\r\nhost: g\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n".to_vec(),
    );
    all
}

/// The greeting, empty SETTINGS, and a stream: HEADERS of static and literal fields, then DATA.
fn http2(body: &[u8]) -> Vec<u8> {
    let mut all = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec();
    let mut headers = vec![0x83, 0x86];
    for (name, value) in [
        (":path", TRACES),
        (":authority", "g"),
        ("content-type", "application/grpc"),
        ("grpc-encoding", "gzip"),
    ] {
        for text in [name, value] {
            if text == name {
                headers.push(0);
            }
            headers.push(u8::try_from(text.len()).unwrap());
            headers.extend(text.bytes());
        }
    }
    let mut frame = |kind: u8, flags: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        all.extend(&length[1..]);
        all.extend([kind, flags, 0, 0, 0, 1]);
        all.extend(payload);
    };
    frame(1, 4, &headers);
    let mut pieces = body.chunks(16 << 10).peekable();
    if pieces.peek().is_none() {
        frame(0, 1, &[]);
    }
    while let Some(piece) = pieces.next() {
        frame(0, u8::from(pieces.peek().is_none()), piece);
    }
    all
}

/// What is done to bytes.
#[derive(Clone, Debug)]
enum Damage {
    Change(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
}

impl Damage {
    fn to(&self, bytes: &mut Vec<u8>) {
        let place = |index: &Index, bytes: &[u8]| index.index(bytes.len() + 1);
        match self {
            Self::Change(at, byte) => {
                let at = place(at, bytes);
                if let Some(there) = bytes.get_mut(at) {
                    *there = *byte;
                }
            }
            Self::Cut(at) => bytes.truncate(place(at, bytes)),
            Self::Insert(at, more) => {
                let at = place(at, bytes);
                drop(bytes.splice(at..at, more.iter().copied()));
            }
            Self::Repeat(from, to) => {
                let (from, to) = (place(from, bytes), place(to, bytes));
                bytes.extend_from_within(from.min(to)..from.max(to));
            }
        }
    }
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    let damage = prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Change(at, byte)),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => (any::<Index>(), vec(any::<u8>(), 1..20)).prop_map(|(at, more)| Damage::Insert(at, more)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::Repeat(from, to)),
    ];
    let damaged = (select(connections()), vec(damage, 0..6)).prop_map(|(mut bytes, damages)| {
        for damage in &damages {
            damage.to(&mut bytes);
        }
        bytes
    });
    prop_oneof![9 => damaged, 1 => vec(any::<u8>(), 0..500)]
}

#[test]
fn whatever_bytes_come_the_connection_ends_and_nothing_is_left_of_it() {
    let front = Front::new();
    let mut runner = TestRunner::new(Config::with_source_file(file!()));
    let run = runner.run(&(input(), 1..4000_usize), |(bytes, piece)| {
        front.serve(|near| async move {
            let (mut read, mut write) = tokio::io::split(near);
            let written = async {
                for piece in bytes.chunks(piece) {
                    // It may be closed before all is written.
                    if write.write_all(piece).await.is_err() {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
                let _ = write.shutdown().await;
            };
            let mut answer = Vec::new();
            let (read, ()) = tokio::join!(read.read_to_end(&mut answer), written);
            prop_assert!(read.is_ok());
            let known = answer.is_empty() || answer.starts_with(b"HTTP/1.") || answer.starts_with(&[0]);
            prop_assert!(known, "{:?}", String::from_utf8_lossy(&answer));
            Ok(())
        })
    });
    run.unwrap();
}
