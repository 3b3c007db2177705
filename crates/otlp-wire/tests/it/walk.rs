//! What holds of any bytes at all. Run by the tests here on bytes that are made up, and by a fuzzer for as long as one
//! likes: see the README.

use bytes::Bytes;
use evenkeel_otlp_wire::{Part, RouteBy, Signal, WireError, count_items, for_each_item, split};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use crate::decoded::{ENCODED, Ids, Request, service};

/// Panics if something does not hold of them.
pub(crate) fn check(body: &[u8]) {
    let body = Bytes::copy_from_slice(body);
    for signal in Signal::ALL {
        is_refused_or_whole(&body, signal);
    }
    is_what_a_collector_reads::<ExportTraceServiceRequest>(&body);
    is_what_a_collector_reads::<ExportMetricsServiceRequest>(&body);
    is_what_a_collector_reads::<ExportLogsServiceRequest>(&body);
}

fn routes() -> [RouteBy; 2] {
    [RouteBy::TraceId, RouteBy::service_name()]
}

/// Where the item of this number goes, in a body of so many bytes.
const fn destination(number: usize, length: usize) -> u32 {
    let mixed = (number as u32).wrapping_mul(0x9e37_79b1) >> 16;
    mixed % (1 + length as u32 % 5)
}

/// What an item is routed by.
type Key = Option<Vec<u8>>;

/// Splits by the number of the item, so that every division of items is tried. Also by which keys.
fn divide(body: &Bytes, signal: Signal, by: &RouteBy) -> Result<(Vec<Part>, Vec<Key>), WireError> {
    let mut keys = Vec::new();
    let parts = split(body, signal, by, |key| {
        keys.push(key.map(<[u8]>::to_vec));
        destination(keys.len() - 1, body.len())
    });
    Ok((parts?, keys))
}

/// What the visitor shows, each id whole.
pub(crate) fn visited(body: &[u8], signal: Signal) -> Vec<Ids> {
    let mut seen = Vec::new();
    for_each_item(body, signal, |ids| {
        seen.push([ids.trace_id, ids.span_id].map(|id| id.map(<[u8]>::to_vec)));
    })
    .unwrap();
    seen
}

/// Malformed bytes are refused, with a position among them. What is not refused comes out again, item by item, in parts
/// that are requests themselves.
fn is_refused_or_whole(body: &Bytes, signal: Signal) {
    let counted = count_items(body, signal).map_err(|error| within(error, body));
    let _ = for_each_item(body, signal, |_| {}).map_err(|error| within(error, body));
    for by in routes() {
        let parts = match divide(body, signal, &by) {
            Ok((parts, _)) => parts,
            Err(error) => {
                within(error, body);
                continue;
            }
        };
        let items: usize = parts.iter().map(|part| part.items).sum();
        assert_eq!(counted, Ok(items), "{signal:?} by {by:?}");
        // By resource, items are not looked into.
        let whole = (by == RouteBy::TraceId).then(|| visited(body, signal));
        for part in parts {
            if let Some(whole) = &whole {
                let numbered = whole.iter().enumerate();
                let of_part = numbered
                    .filter(|&(number, _)| destination(number, body.len()) as usize == part.destination);
                let of_part: Vec<_> = of_part.map(|(_, ids)| ids.clone()).collect();
                assert_eq!(visited(&part.body, signal), of_part);
            }
            assert_eq!(count_items(&part.body, signal), Ok(part.items));
            let again = split(&part.body, signal, &by, |_| 0).unwrap();
            assert_eq!(again.len(), 1);
            assert_eq!(again[0].body, part.body);
        }
    }
}

/// Whether a service is not told by its name.
fn is_encoded(service: &[u8]) -> bool {
    service.first() == Some(&ENCODED)
}

fn within(error: WireError, body: &[u8]) {
    let (WireError::Truncated { at }
    | WireError::Overlong { at }
    | WireError::Tag { at, .. }
    | WireError::Group { at }) = error
    else {
        panic!("{error}");
    };
    assert!(at <= body.len(), "{error} of {} bytes", body.len());
}

/// What a collector can decode is walked, and counted, shown and split as that collector would.
fn is_what_a_collector_reads<R: Request>(body: &Bytes) {
    let Ok(request) = R::decode(&body[..]) else { return };
    assert_eq!(count_items(body, R::SIGNAL), Ok(request.items()));
    assert_eq!(visited(body, R::SIGNAL), request.ids());
    for by in routes() {
        let (parts, keys) = divide(body, R::SIGNAL, &by).unwrap();
        let mut expected = Vec::new();
        let whole = |keep: &mut dyn FnMut(Key) -> bool, of: &R| {
            if by == RouteBy::TraceId {
                of.only_items(&mut |item| keep(item.trace_id().map(<[u8]>::to_vec)))
            } else {
                of.only_resources(&mut |resource| keep(service(resource)))
            }
        };
        whole(
            &mut |key| {
                expected.push(key);
                true
            },
            &request,
        );
        assert_eq!(keys.len(), expected.len());
        for (key, expected) in keys.iter().zip(expected) {
            // What is no string counts as it came, which may be longer than need be.
            if expected.as_deref().is_some_and(is_encoded) {
                assert!(key.is_some(), "by {by:?}");
            } else {
                assert_eq!(*key, expected, "by {by:?}");
            }
        }
        let mut left: Vec<_> = (0..keys.len())
            .map(|number| destination(number, body.len()))
            .collect();
        for part in parts {
            let mut number = 0..;
            let mut goes = |_| {
                let number = number.next().unwrap_or(usize::MAX);
                destination(number, body.len()) as usize == part.destination
            };
            let expected = whole(&mut goes, &request);
            let decoded = R::decode(&part.body[..]).unwrap();
            assert_eq!(decoded.items(), part.items);
            // A body that was not divided keeps its empty resources and scopes. By their encoding: a NaN is not
            // equal to itself.
            let decoded = whole(&mut |_| true, &decoded);
            assert_eq!(
                decoded.encode_to_vec(),
                expected.encode_to_vec(),
                "by {by:?}, {decoded:?} is not {expected:?}"
            );
            left.retain(|&destination| destination as usize != part.destination);
        }
        assert_eq!(left, [], "items that went nowhere");
    }
}
