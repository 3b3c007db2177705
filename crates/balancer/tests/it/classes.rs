//! What answers and errors amount to.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use evenkeel_balancer::{Classification, Classify, ErrorClassifier, Outcome, Repeat, Retry};
use evenkeel_stats::FailureKind;

/// An error as libraries wrap them.
#[derive(Debug)]
struct Wrapped(Option<Box<dyn Error>>);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrapped")
    }
}

impl Error for Wrapped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.as_deref()
    }
}

fn of<E: Error + 'static>(error: E) -> Classification {
    ErrorClassifier.classify(&Err::<(), _>(error))
}

#[test]
fn only_what_was_surely_not_sent_is_safe_to_send_again() {
    use io::ErrorKind as Kind;
    for kind in [
        Kind::ConnectionRefused,
        Kind::HostUnreachable,
        Kind::NetworkUnreachable,
    ] {
        assert_eq!(of(io::Error::from(kind)).retry, Retry::Unsent, "{kind:?}");
    }
    for kind in [
        Kind::ConnectionReset,
        Kind::TimedOut,
        Kind::UnexpectedEof,
        Kind::BrokenPipe,
        Kind::Other,
    ] {
        assert_eq!(of(io::Error::from(kind)).retry, Retry::IfRepeatable, "{kind:?}");
    }
    assert_eq!(of(Wrapped(None)).retry, Retry::IfRepeatable, "nothing is known");
}

#[test]
fn an_io_error_is_found_however_deep_it_is_wrapped() {
    let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
    let deep = Wrapped(Some(Box::new(Wrapped(Some(Box::new(io::Error::other(refused)))))));
    let class = of(deep);
    assert_eq!(class.failure.unwrap().kind, FailureKind::Refused);
    assert_eq!(class.retry, Retry::Unsent);
}

#[test]
fn what_this_machine_lacks_is_not_held_against_a_backend() {
    let class = of(io::Error::from(io::ErrorKind::AddrNotAvailable));
    assert_eq!(class.outcome, Outcome::Cancelled);
}

#[test]
fn a_client_error_is_a_good_answer_and_an_overload_no_failure() {
    let outcome = |status| Classification::of_http(status, None).outcome;
    assert!(
        [200, 301, 400, 401, 404, 409, 422]
            .map(outcome)
            .iter()
            .all(|outcome| outcome.is_success())
    );
    assert_eq!([500, 502, 503, 504, 408].map(outcome), [Outcome::Failure; 5]);
    let wait = Some(Duration::from_secs(3));
    assert_eq!(outcome(429), Outcome::Overload { retry_after: None });
    assert_eq!(
        Classification::of_http(503, wait).outcome,
        Outcome::Overload { retry_after: wait }
    );
    let grpc = |code| Classification::of_grpc(code, None).outcome;
    assert!(
        [0, 3, 5, 6, 7, 9, 10, 11, 12, 16]
            .map(grpc)
            .iter()
            .all(|outcome| outcome.is_success())
    );
    assert_eq!([2, 4, 13, 14, 15].map(grpc), [Outcome::Failure; 5]);
    assert_eq!(grpc(8), Outcome::Overload { retry_after: None });
    assert_eq!(grpc(1), Outcome::Cancelled);
}

#[test]
fn whether_to_repeat_takes_both_the_answer_and_the_request() {
    let table = [
        (Retry::Never, [false, false, false]),
        (Retry::IfRepeatable, [false, true, false]),
        (Retry::Unsent, [true, true, false]),
    ];
    for (retry, expected) in table {
        let allowed = [Repeat::IfUnsent, Repeat::Always, Repeat::Never].map(|repeat| retry.allows(repeat));
        assert_eq!(allowed, expected, "{retry:?}");
    }
}

#[cfg(feature = "http")]
#[test]
fn retry_after_is_read_in_seconds_and_a_date_passed_over() {
    let classify = |value: &str| {
        let response = http::Response::builder()
            .status(503)
            .header("retry-after", value)
            .body(())
            .unwrap();
        evenkeel_balancer::HttpClassifier
            .classify(&Ok::<_, io::Error>(response))
            .outcome
    };
    let wait = Some(Duration::from_secs(120));
    assert_eq!(classify("120"), Outcome::Overload { retry_after: wait });
    assert_eq!(classify("Fri, 31 Dec 1999 23:59:59 GMT"), Outcome::Failure);
}
