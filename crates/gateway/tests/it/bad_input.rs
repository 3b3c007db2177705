//! Bad requests: the right status, and nobody else is harmed.

use std::time::Duration;

use evenkeel_gateway::Gateway;
use evenkeel_otlp::rpc::{Code, RpcStatus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::collector::Collector;
use crate::requests::{gzip, one_span, traces};
use crate::sender::{Grpc, TRACES, framed, get, post, raw};
use crate::{config, config_with, gateway, pass, until};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn unknown_paths_methods_and_content_types_are_told_apart() {
    let collector = Collector::start().await;
    let gateway = gateway(&[&collector]);
    let port = gateway.http_address();
    let cases = [
        ("/v1/spans", PROTOBUF, 404),
        ("/", PROTOBUF, 404),
        ("/v1/traces", ("content-type", "text/plain"), 415),
        ("/v1/traces", ("content-type", "application/grpc-web"), 415),
        ("/v1/traces", ("accept", "*/*"), 415),
        ("/v1/profiles", JSON, 400),
    ];
    for (path, header, expected) in cases {
        let answer = post(port, path, &[header], "{}").await;
        assert_eq!(answer.status, expected, "{path} {header:?}");
        let status = match answer.header("content-type") {
            "application/json" => RpcStatus::decode_json(&answer.body).unwrap(),
            _ => RpcStatus::decode_protobuf(&answer.body).unwrap(),
        };
        assert!(!status.is_retryable() && !status.message.is_empty(), "{status:?}");
    }
    let answer = get(port, "/v1/traces").await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
    let encoded = [PROTOBUF, ("content-encoding", "br")];
    assert_eq!(post(port, "/v1/traces", &encoded, "x").await.status, 415);

    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let answer = sender
        .call(
            "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
            &[],
            framed(false, b""),
        )
        .await;
    assert_eq!((answer.http, answer.status.code), (200, Code::Unimplemented));
    let answer = sender
        .call(TRACES, &[("grpc-encoding", "snappy")], framed(true, b"x"))
        .await;
    assert_eq!(answer.status.code, Code::Unimplemented);
    assert_eq!(collector.count(), 0);
}

#[tokio::test]
async fn a_message_that_is_cut_off_or_wrongly_framed_is_refused_for_good() {
    let collector = Collector::start().await;
    let gateway = gateway(&[&collector]);
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let good = framed(false, &one_span(1));
    let two = [&good[..], &good[..]].concat();
    let cases = [
        &good[..good.len() - 1],
        &good[..3],
        &[][..],
        &two,
        &[7, 0, 0, 0, 0],
    ];
    for body in cases {
        let answer = sender.call(TRACES, &[], body.to_vec()).await;
        assert!(
            answer.status.code != Code::Ok && !answer.status.is_retryable(),
            "{answer:?}"
        );
    }
    let answer = sender
        .call(TRACES, &[], framed(true, b"compressed, but how"))
        .await;
    assert_eq!(answer.status.code, Code::Internal);
    let answer = sender
        .call(TRACES, &[("grpc-timeout", "soon")], good.clone())
        .await;
    assert_eq!(answer.status.code, Code::InvalidArgument);
    assert_eq!(collector.count(), 0);
    // The connection is as good as before.
    assert_eq!(sender.call(TRACES, &[], good).await.status.code, Code::Ok);
}

#[tokio::test]
async fn bad_json_and_bad_gzip_are_told_in_the_encoding_of_the_request() {
    let collector = Collector::start().await;
    let gateway = gateway(&[&collector]);
    let port = gateway.http_address();
    let answer = post(
        port,
        "/v1/traces",
        &[JSON],
        r#"{"resourceSpans":[{"scopeSpans":7}]}"#,
    )
    .await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (400, "application/json")
    );
    let status = RpcStatus::decode_json(&answer.body).unwrap();
    assert_eq!(status.code, Code::InvalidArgument);
    assert!(
        status.message.contains("scopeSpans") && status.message.contains("line 1"),
        "{status:?}"
    );
    let answer = post(
        port,
        "/v1/traces",
        &[JSON, ("content-encoding", "gzip")],
        "no gzip",
    )
    .await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn malformed_protobuf_is_refused_where_it_is_read() {
    let collector = Collector::start().await;
    let gateway = Gateway::start(config_with(&[&collector], "route = \"trace_id\"")).unwrap();
    let answer = post(
        gateway.http_address(),
        "/v1/traces",
        &[PROTOBUF],
        &b"\x0a\xff\xff\xff\x0f"[..],
    )
    .await;
    assert_eq!(answer.status, 400);
    let status = RpcStatus::decode_protobuf(&answer.body).unwrap();
    assert!(status.message.contains("byte 0"), "{status:?}");
}

#[tokio::test]
async fn a_request_beyond_the_limit_is_refused_for_good_however_it_announces_itself() {
    let collector = Collector::start().await;
    let config = config_with(&[&collector], "limits.max_body_size = \"64KiB\"");
    let gateway = Gateway::start(config).unwrap();
    let large = vec![0; 100_000];
    let answer = post(gateway.http_address(), "/v1/traces", &[PROTOBUF], large.clone()).await;
    assert_eq!(answer.status, 413);
    let status = RpcStatus::decode_protobuf(&answer.body).unwrap();
    assert_eq!((status.code, status.retry_delay), (Code::ResourceExhausted, None));
    // Its length is not said, and comes out as it is read.
    let chunk = format!("{:x}\r\n{}\r\n", 70_000, "x".repeat(70_000));
    let head = "POST /v1/traces HTTP/1.1\r\nhost: g\r\ncontent-type: application/x-protobuf\r\n";
    let answer = raw(
        gateway.http_address(),
        format!("{head}transfer-encoding: chunked\r\n\r\n{chunk}").as_bytes(),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");

    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let status = sender.export(&large).await.status;
    assert_eq!((status.code, status.retry_delay), (Code::ResourceExhausted, None));
    // Announced only: five bytes.
    let status = sender
        .call(TRACES, &[], vec![0, 0xff, 0xff, 0xff, 0xff])
        .await
        .status;
    assert_eq!((status.code, status.retry_delay), (Code::ResourceExhausted, None));
    assert_eq!(sender.export(&one_span(1)).await.status.code, Code::Ok);
    assert_eq!(collector.count(), 1);
}

#[tokio::test]
async fn a_zip_bomb_is_refused_before_it_is_unpacked() {
    let collector = Collector::start().await;
    let config = config_with(
        &[&collector],
        "limits.max_body_size = \"1MiB\"\nroute = \"trace_id\"",
    );
    let gateway = Gateway::start(config).unwrap();
    let bomb = gzip(&vec![0; 20 << 20]);
    assert!(bomb.len() < 1 << 19);
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let answer = sender
        .call(TRACES, &[("grpc-encoding", "gzip")], framed(true, &bomb))
        .await;
    assert_eq!(
        (answer.status.code, answer.status.retry_delay),
        (Code::ResourceExhausted, None)
    );
    for media in [PROTOBUF, JSON] {
        let headers = [media, ("content-encoding", "gzip")];
        let answer = post(gateway.http_address(), "/v1/traces", &headers, bomb.clone()).await;
        assert_eq!(answer.status, 413, "{media:?}");
    }
    assert_eq!(collector.count(), 0);
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up_and_what_it_held_is_free_again() {
    let collector = Collector::start().await;
    let more = "limits.body_timeout = \"200ms\"\nlimits.requests = 1";
    let gateway = Gateway::start(config_with(&[&collector], more)).unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: g\r\ncontent-type: application/x-protobuf\r\n";
    let answer = raw(
        gateway.http_address(),
        format!("{head}content-length: 100\r\n\r\nbegin").as_bytes(),
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1\r\n"),
        "{answer}"
    );
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    assert_eq!(sender.export(&one_span(1)).await.status.code, Code::Ok);
}

#[tokio::test]
async fn a_body_that_comes_steadily_is_waited_for_however_long_it_takes_in_all() {
    let collector = Collector::start().await;
    let gateway = gateway(&[&collector]);
    let mut stream = TcpStream::connect(gateway.http_address().unwrap()).await.unwrap();
    let piece = vec![0; 1 << 20];
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: g\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {}\r\n\r\n",
        8 * piece.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..8 {
        stream.write_all(&piece).await.unwrap();
        // More than the 30 s of body_timeout in all, and 105 kB a second.
        pass(Duration::from_secs(10)).await;
    }
    until("it arrives", async || collector.count() == 1).await;
}

#[tokio::test]
async fn who_writes_all_before_it_reads_is_told_why_it_is_refused() {
    let collector = Collector::start().await;
    let config = config_with(&[&collector], "limits.max_body_size = \"8MiB\"");
    let gateway = Gateway::start(config).unwrap();
    for (media, status) in [("application/x-protobuf", "413"), ("text/plain", "415")] {
        let mut stream = TcpStream::connect(gateway.http_address().unwrap()).await.unwrap();
        let body = vec![0; 15 << 20];
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: g\r\ncontent-type: {media}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(str::from_utf8(&answer).unwrap(), format!("HTTP/1.1 {status}"));
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_body_holds_nothing() {
    let collector = Collector::start().await;
    let gateway = Gateway::start(config_with(&[&collector], "limits.requests = 1")).unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: g\r\ncontent-type: application/x-protobuf\r\n";
    let mut stream = TcpStream::connect(gateway.http_address().unwrap()).await.unwrap();
    stream
        .write_all(format!("{head}content-length: 100\r\n\r\nbegin").as_bytes())
        .await
        .unwrap();
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    until("it is under way", async || {
        sender.export(&one_span(1)).await.status.code != Code::Ok
    })
    .await;
    drop(stream);
    until("its place is free", async || {
        sender.export(&one_span(1)).await.status.code == Code::Ok
    })
    .await;
}

#[tokio::test]
async fn header_bombs_are_cut_off_and_others_are_served() {
    let collector = Collector::start().await;
    let gateway = gateway(&[&collector]);
    let port = gateway.http_address();
    let mut sender = Grpc::connect(gateway.grpc_address()).await;
    let long = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: g\r\nx: {}\r\n\r\n",
        "y".repeat(1 << 20)
    );
    let many = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: g\r\n{}\r\n",
        "a: b\r\n".repeat(10_000)
    );
    for bomb in [long, many] {
        let answer = raw(port, bomb.as_bytes()).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
            "{answer}"
        );
    }
    let large = "z".repeat(100_000);
    let answer = Grpc::connect(gateway.grpc_address())
        .await
        .call(TRACES, &[("x-large", &large)], framed(false, &one_span(1)))
        .await;
    assert_eq!(answer.http, 431);
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"\0\0\0",
    ] {
        let mut stream = TcpStream::connect(port.unwrap()).await.unwrap();
        stream.write_all(nonsense).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
    }
    assert_eq!(sender.export(&one_span(1)).await.status.code, Code::Ok);
    assert_eq!(collector.count(), 1);
}

#[tokio::test]
async fn who_begins_a_head_and_does_not_end_it_is_cut_off() {
    let collector = Collector::start().await;
    let mut config = config(&[&collector]);
    config.receiver.header_timeout = Duration::from_secs(1);
    let gateway = Gateway::start(config).unwrap();
    let begun: [&[u8]; 4] = [
        b"",
        b"P",
        b"POST /v1/traces HTTP/1.1\r\nhost: g\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    let cut = begun.map(|begun| raw(gateway.http_address(), begun));
    let all = futures::future::join_all(cut);
    assert!(tokio::time::timeout(Duration::from_secs(20), all).await.is_ok());
}

#[tokio::test]
async fn an_empty_request_is_a_success() {
    let collector = Collector::start().await;
    for route in ["none", "trace_id", "service"] {
        let config = config_with(&[&collector], &format!("route = \"{route}\""));
        let gateway = Gateway::start(config).unwrap();
        let mut sender = Grpc::connect(gateway.grpc_address()).await;
        for empty in [Vec::new(), traces(Vec::new())] {
            assert_eq!(sender.export(&empty).await.status.code, Code::Ok, "{route}");
        }
        let answer = post(gateway.http_address(), "/v1/traces", &[JSON], "{}").await;
        assert_eq!(answer.status, 200, "{route}");
    }
}
