//! The specification's tables: what an answer means for the request, and for the collector that gave it.
//! The table is in the README, and the tests go by it.
//!
//! Source: OTLP specification 1.11, "Failures" of OTLP/gRPC and of OTLP/HTTP, for the middle column.

use std::time::Duration;

use evenkeel::balancer::{Classification, Outcome, Retry};
use evenkeel::stats::{FailureKind, Phase};

use crate::rpc::{Code, RpcStatus};

/// What a gRPC status that is not `OK` means.
pub(crate) fn of_grpc(status: &RpcStatus) -> Classification {
    let retry = if status.is_retryable() {
        Retry::IfRepeatable
    } else {
        Retry::Never
    };
    match status.code {
        Code::Unavailable | Code::ResourceExhausted if status.retry_delay.is_some() => {
            overload(status.retry_delay, retry)
        }
        Code::ResourceExhausted => overload(None, retry),
        code => by_code(code, retry),
    }
}

/// What an HTTP status that is not 2xx means; `retry_after` is what its header asked for.
pub(crate) fn of_http(http: u16, retry_after: Option<Duration>) -> Classification {
    let retry = if is_retryable_http(http) {
        Retry::IfRepeatable
    } else {
        Retry::Never
    };
    match http {
        429 => overload(retry_after, retry),
        503 if retry_after.is_some() => overload(retry_after, retry),
        504 | 408 => Classification::failed(Phase::Read, FailureKind::Timeout, retry),
        402..=499 if !matches!(http, 403 | 404 | 405 | 415) => by_code(Code::InvalidArgument, retry),
        _ => by_code(Code::from_http(http), retry),
    }
}

/// The table of OTLP/HTTP.
pub(crate) const fn is_retryable_http(http: u16) -> bool {
    matches!(http, 429 | 502 | 503 | 504)
}

fn overload(retry_after: Option<Duration>, retry: Retry) -> Classification {
    Classification::new(Outcome::Overload { retry_after }, retry)
}

fn by_code(code: Code, retry: Retry) -> Classification {
    match code {
        Code::Ok | Code::InvalidArgument | Code::AlreadyExists | Code::FailedPrecondition => {
            Classification::new(Outcome::Success, retry)
        }
        Code::NotFound | Code::Unimplemented => Classification::new(Outcome::Cancelled, retry),
        Code::DeadlineExceeded => Classification::failed(Phase::Read, FailureKind::Timeout, retry),
        _ => Classification::failed(Phase::Read, FailureKind::Other, retry),
    }
}
