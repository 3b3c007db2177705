//! What comes out decodes to what went in, item by item.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use evenkeel_otlp_wire::{RouteBy, Signal, count_items, split};
use proptest::prelude::*;
use prost::Message;

use crate::decoded::{ENCODED, Request, service};
use crate::requests::{backwards, logs, metrics, traces};
use crate::walk::visited;

/// Where something of this key goes, of `n`.
fn choose(key: Option<&[u8]>, n: u32) -> u32 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    (hasher.finish() % u64::from(n)) as u32
}

/// What of a request goes by keys that `keep` wants, without what is empty then.
fn only<R: Request>(request: &R, by: &RouteBy, keep: &dyn Fn(Option<&[u8]>) -> bool) -> R {
    if *by == RouteBy::TraceId {
        request.only_items(&mut |item| keep(item.trace_id()))
    } else {
        request.only_resources(&mut |resource| {
            let service = service(resource);
            keep(
                service
                    .as_deref()
                    .map(|name| name.strip_prefix(&[ENCODED]).unwrap_or(name)),
            )
        })
    }
}

fn check<R: Request>(request: &R, by: &RouteBy, n: u32, reverse: bool) {
    let mut encoded = request.encode_to_vec();
    if reverse {
        encoded = backwards(&encoded, 3);
        assert_eq!(
            R::decode(&encoded[..]).as_ref(),
            Ok(request),
            "the helper is wrong"
        );
    }
    let body = Bytes::from(encoded);
    assert_eq!(count_items(&body, R::SIGNAL), Ok(request.items()));

    let parts = split(&body, R::SIGNAL, by, |key| choose(key, n)).unwrap();
    let mut seen = BTreeSet::new();
    for part in &parts {
        assert!(seen.insert(part.destination), "a destination with two parts");
        let expected = only(request, by, &|key| choose(key, n) as usize == part.destination);
        let decoded = R::decode(&part.body[..]).unwrap();
        assert_eq!(decoded.items(), part.items);
        // A body that was not divided keeps its empty resources and scopes.
        assert_eq!(only(&decoded, by, &|_| true), expected);
        assert!(parts.len() > 1 || part.body == body);
    }
    for destination in (0..n).filter(|&d| !seen.contains(&(d as usize))) {
        let missing = only(request, by, &|key| choose(key, n) == destination);
        assert_eq!(missing, R::default(), "{destination} went nowhere");
    }
}

/// The request as it is, or with its fields backwards.
fn encoded(request: &impl Message, reverse: bool) -> Vec<u8> {
    let body = request.encode_to_vec();
    if reverse { backwards(&body, 3) } else { body }
}

proptest! {
    #[test]
    fn the_ids_of_every_span_are_seen_in_order(request in traces(), reverse: bool) {
        prop_assert_eq!(visited(&encoded(&request, reverse), Signal::Traces), request.ids());
    }

    #[test]
    fn the_ids_of_every_log_record_are_seen_in_order(request in logs(), reverse: bool) {
        prop_assert_eq!(visited(&encoded(&request, reverse), Signal::Logs), request.ids());
    }

    #[test]
    fn a_split_by_trace_keeps_every_span(request in traces(), n in 1_u32..5, reverse: bool) {
        check(&request, &RouteBy::TraceId, n, reverse);
    }

    #[test]
    fn a_split_by_service_keeps_every_span(request in traces(), n in 1_u32..5, reverse: bool) {
        check(&request, &RouteBy::service_name(), n, reverse);
    }

    #[test]
    fn a_split_keeps_every_log_record(request in logs(), n in 1_u32..5, reverse: bool, by_trace: bool) {
        let by = if by_trace { RouteBy::TraceId } else { RouteBy::service_name() };
        check(&request, &by, n, reverse);
    }

    #[test]
    fn a_split_keeps_every_data_point(request in metrics(), n in 1_u32..5, reverse: bool, by_trace: bool) {
        let by = if by_trace { RouteBy::TraceId } else { RouteBy::service_name() };
        check(&request, &by, n, reverse);
    }
}
