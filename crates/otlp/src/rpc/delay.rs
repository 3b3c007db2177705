//! `Retry-After`, in both its forms.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

use super::proto::MAX_SECONDS;

/// What the `Retry-After` of an answer asks for: a number of seconds, or a date.
///
/// A date is taken against the answer's own `Date`, so that the clocks of the two ends need not agree;
/// without one, against this machine's. A date that is past asks for no wait. No wait is longer than protobuf's
/// longest, ten thousand years, so that it can be added to a time. `None` if there is no such header, or it is
/// neither.
///
/// Source: RFC 9110, section 10.2.3.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds.min(MAX_SECONDS)));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let date = headers.get(DATE).and_then(|date| date.to_str().ok());
    let now = date.and_then(|date| httpdate::parse_http_date(date).ok());
    let now = now.unwrap_or_else(wall_time);
    Some(until.duration_since(now).unwrap_or_default())
}

#[expect(clippy::disallowed_methods, reason = "the header names a moment of wall time")]
fn wall_time() -> SystemTime {
    SystemTime::now()
}
