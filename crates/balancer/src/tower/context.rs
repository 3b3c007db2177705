//! What a request's head says to the balancer, by default.

use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, Method};

use crate::{Repeat, RequestContext};

/// The [`RequestContext`] among the request's extensions, if there is one. Else methods that are
/// idempotent by RFC 9110 may be repeated, all others only if they were not sent: gRPC's requests are
/// `POST` and do not say.
pub(super) fn of(head: &Parts) -> RequestContext<'static> {
    if let Some(&own) = head.extensions.get() {
        return own;
    }
    RequestContext::new().with_repeat(repeat(&head.method))
}

fn repeat(method: &Method) -> Repeat {
    let idempotent = [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
    ];
    if idempotent.contains(method) {
        Repeat::Always
    } else {
        Repeat::IfUnsent
    }
}

/// With the request's own deadline, `grpc-timeout`, where nothing else was said.
pub(super) fn with_deadline(
    context: RequestContext<'static>,
    headers: &HeaderMap,
) -> RequestContext<'static> {
    match (context.timeout, grpc_timeout(headers)) {
        (None, Some(timeout)) => context.with_timeout(timeout),
        _ => context,
    }
}

/// Up to eight digits and a unit, as gRPC's protocol has it; anything else is none.
fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_read_in_each_unit_and_nonsense_is_none() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            grpc_timeout(&headers)
        };
        assert_eq!(read("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(read("3M"), Some(Duration::from_secs(180)));
        assert_eq!(read("10S"), Some(Duration::from_secs(10)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("7u"), Some(Duration::from_micros(7)));
        assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for nonsense in ["", "S", "-1S", "1", "1x", "999999999S", "1.5S"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_context_of_the_requests_own_is_taken_and_a_post_is_not_repeated() {
        let head = |method: Method| {
            let request = http::Request::builder().method(method).body(()).unwrap();
            request.into_parts().0
        };
        assert_eq!(of(&head(Method::GET)).repeat, Repeat::Always);
        let mut post = head(Method::POST);
        assert_eq!(of(&post).repeat, Repeat::IfUnsent);
        post.extensions
            .insert(RequestContext::new().with_repeat(Repeat::Always));
        assert_eq!(of(&post).repeat, Repeat::Always);
    }
}
