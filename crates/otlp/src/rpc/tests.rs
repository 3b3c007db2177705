use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::{Code, RpcStatus, retry_after};

fn statuses() -> impl Strategy<Value = RpcStatus> {
    let delay = (0..1_000_000_u64, 0..1_000_000_000_u32);
    (0..17_i32, ".{0,40}", prop::option::of(delay)).prop_map(|(code, message, delay)| RpcStatus {
        code: Code::from_number(code),
        message,
        retry_delay: delay.map(|(seconds, nanos)| Duration::new(seconds, nanos)),
    })
}

proptest! {
    #[test]
    fn a_status_comes_back_from_protobuf_and_json_as_it_was(status in statuses()) {
        prop_assert_eq!(&RpcStatus::decode_protobuf(&status.encode_protobuf()).unwrap(), &status);
        prop_assert_eq!(&RpcStatus::decode_json(status.encode_json().as_bytes()).unwrap(), &status);
    }

    #[test]
    fn a_status_comes_back_from_trailers(status in statuses()) {
        let mut trailers = HeaderMap::new();
        status.write_trailers(&mut trailers);
        let read = RpcStatus::from_trailers(&trailers).unwrap();
        if status.code == Code::Ok {
            prop_assert_eq!(read.code, Code::Ok);
        } else {
            prop_assert_eq!(read, status);
        }
    }

    #[test]
    fn rubbish_is_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = RpcStatus::decode_protobuf(&bytes);
        let _ = RpcStatus::decode_json(&bytes);
        let _ = RpcStatus::from_details(&bytes);
    }

    /// A client of either table must do the same with what a server says in either form.
    #[test]
    fn http_and_grpc_agree_on_what_is_repeated(number in 0..17_i32, info in any::<bool>()) {
        let code = Code::from_number(number);
        let http = code.to_http(info);
        let repeated = matches!(http, 429 | 502 | 503 | 504);
        prop_assert_eq!(code.is_retryable(info), repeated, "{} is {}", code, http);
    }
}

/// Bytes of another's making: Go's `status.New(codes.Unavailable, "busy").WithDetails(RetryInfo 2.5 s)`.
#[test]
fn a_retry_info_is_read_as_others_write_it() {
    let mut bytes = vec![0x08, 14, 0x12, 4];
    bytes.extend(b"busy");
    bytes.extend([0x1a, 54, 0x0a, 40]);
    bytes.extend(b"type.googleapis.com/google.rpc.RetryInfo");
    bytes.extend([0x12, 10, 0x0a, 8, 0x08, 2, 0x10, 0x80, 0xca, 0xb5, 0xee, 0x01]);
    let status = RpcStatus::decode_protobuf(&bytes).unwrap();
    let expected = RpcStatus::new(Code::Unavailable, "busy").with_retry_delay(Duration::from_millis(2500));
    assert_eq!(status, expected);
    assert_eq!(expected.encode_protobuf(), bytes);

    let padded = "CA4SBGJ1c3k=";
    let status = RpcStatus::from_details(padded.as_bytes()).unwrap();
    assert_eq!(status, RpcStatus::new(Code::Unavailable, "busy"));
    assert_eq!(RpcStatus::from_details(b"CA4SBGJ1c3k").unwrap(), status);
}

#[test]
fn a_number_that_is_no_code_is_unknown() {
    let mut trailers = HeaderMap::new();
    assert_eq!(RpcStatus::from_trailers(&trailers), None);
    for odd in ["17", "-1", "x", "99999999999999999999"] {
        trailers.insert("grpc-status", HeaderValue::from_static(odd));
        assert_eq!(
            RpcStatus::from_trailers(&trailers).unwrap().code,
            Code::Unknown,
            "{odd}"
        );
    }
}

#[test]
fn a_message_of_the_peers_survives_percent_encoding_and_its_absence() {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("14"));
    trailers.insert("grpc-message", HeaderValue::from_static("100% of %C3%BC, %zz"));
    assert_eq!(
        RpcStatus::from_trailers(&trailers).unwrap().message,
        "100% of ü, %zz"
    );
}

#[test]
fn retry_after_is_read_in_seconds_and_as_a_date() {
    let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|&(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    };
    assert_eq!(retry_after(&headers(&[])), None);
    assert_eq!(
        retry_after(&headers(&[("retry-after", "7")])),
        Some(Duration::from_secs(7))
    );
    assert_eq!(retry_after(&headers(&[("retry-after", "soon")])), None);
    assert_eq!(retry_after(&headers(&[("retry-after", "-3")])), None);
    let huge = retry_after(&headers(&[("retry-after", "99999999999999999999999")]));
    assert!(tokio::time::Instant::now().checked_add(huge.unwrap()).is_some());
    // The server's clock is a century off: only its own two dates count.
    let dated = headers(&[
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"),
    ]);
    assert_eq!(retry_after(&dated), Some(Duration::from_secs(30)));
    let past = headers(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]);
    assert_eq!(retry_after(&past), Some(Duration::ZERO));
}
