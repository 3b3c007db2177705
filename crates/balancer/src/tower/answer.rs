//! [`Answer`]: what there is of a response to judge a backend by, and how it is judged by default.

use std::error::Error;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

use crate::Classification;

/// The part of a response that has just come.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Answer<'a> {
    /// Its head.
    #[non_exhaustive]
    Head {
        /// The status of HTTP.
        status: StatusCode,
        /// The headers; those of a gRPC call that failed at once carry its status.
        headers: &'a HeaderMap,
    },
    /// What comes after its body; of a gRPC call, the status.
    Trailers(&'a HeaderMap),
    /// An error in place of a response, or in the middle of one.
    Error(&'a (dyn Error + 'static)),
}

impl Classification {
    /// What an [`Answer`] says of the backend: a gRPC status counts wherever it comes, by
    /// [`of_grpc`](Self::of_grpc), with the server's push-back (`grpc-retry-pushback-ms`); else the
    /// status of HTTP by [`of_http`](Self::of_http), with `Retry-After` in seconds; an error by
    /// [`of_error`](Self::of_error).
    #[must_use]
    pub fn of_answer(answer: Answer<'_>) -> Self {
        match answer {
            Answer::Head { status, headers } => match grpc(headers) {
                Some(classification) => classification,
                None => Self::of_http(status.as_u16(), seconds(headers)),
            },
            Answer::Trailers(trailers) => grpc(trailers).unwrap_or(Self::SUCCESS),
            Answer::Error(error) => Self::of_error(error),
        }
    }
}

fn grpc(headers: &HeaderMap) -> Option<Classification> {
    let code = number(headers, "grpc-status")?;
    let pushback = number(headers, "grpc-retry-pushback-ms").map(Duration::from_millis);
    // Whatever is no known code is UNKNOWN, as gRPC has it.
    let code = i32::try_from(code).unwrap_or(2);
    Some(Classification::of_grpc(code, pushback))
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    let value = headers.get(name)?.to_str().ok()?;
    value.trim().parse().ok()
}

fn seconds(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use evenkeel_stats::Outcome;

    use super::*;

    fn head(status: u16, headers: &[(&'static str, &'static str)]) -> Outcome {
        let headers = map(headers);
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer::Head {
            status,
            headers: &headers,
        };
        Classification::of_answer(answer).outcome
    }

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let headers = headers.iter().copied();
        headers
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_status_of_grpc_counts_before_that_of_http() {
        assert_eq!(head(200, &[]), Outcome::Success);
        assert_eq!(head(200, &[("grpc-status", "14")]), Outcome::Failure);
        assert_eq!(head(200, &[("grpc-status", "5")]), Outcome::Success);
        assert_eq!(head(503, &[]), Outcome::Failure);
    }

    #[test]
    fn a_wait_that_is_asked_for_is_taken_from_either_protocol() {
        let after = |millis| Outcome::Overload {
            retry_after: Some(Duration::from_millis(millis)),
        };
        let pushback = [("grpc-status", "8"), ("grpc-retry-pushback-ms", "250")];
        assert_eq!(head(200, &pushback), after(250));
        assert_eq!(head(429, &[("retry-after", "2")]), after(2000));
    }

    #[test]
    fn trailers_without_a_status_and_nonsense_are_no_verdict_and_no_panic() {
        let trailers = |headers: &[_]| Classification::of_answer(Answer::Trailers(&map(headers))).outcome;
        assert_eq!(trailers(&[("grpc-status", "14")]), Outcome::Failure);
        assert_eq!(trailers(&[("checksum", "1")]), Outcome::Success);
        assert_eq!(trailers(&[("grpc-status", "-1")]), Outcome::Success);
        assert_eq!(trailers(&[("grpc-status", "99999999999")]), Outcome::Failure);
    }
}
