//! What other encoders write, and what later versions may add.

use bytes::Bytes;
use evenkeel_otlp_wire::{RouteBy, Signal, count_items, split};

use crate::requests::field;

fn message(parts: &[(u32, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for &(number, value) in parts {
        field(&mut out, number, value);
    }
    out
}

fn span(trace: u8) -> Vec<u8> {
    message(&[(1, &[trace; 16])])
}

/// Two spans of two traces in one scope, with these fields beside them.
fn request(in_request: &[u8], in_resource: &[u8], in_scope: &[u8]) -> Bytes {
    let scope = [&message(&[(2, &span(1)), (2, &span(2))])[..], in_scope].concat();
    let resource = [&message(&[(2, &scope)])[..], in_resource].concat();
    [&message(&[(1, &resource)])[..], in_request].concat().into()
}

fn by_trace(body: &Bytes) -> Vec<evenkeel_otlp_wire::Part> {
    split(body, Signal::Traces, &RouteBy::TraceId, |id| {
        u32::from(id.unwrap()[0])
    })
    .unwrap()
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[test]
fn an_unknown_field_or_group_at_any_level_comes_out_with_each_part() {
    let unknown = |mark: u8| {
        let mut out = message(&[(200, &[mark; 5])]);
        // Field 201: a group with a number in it.
        out.extend([0xcb, 0x0c, 0x08, 1, 0xcc, 0x0c]);
        out
    };
    let (request_level, resource_level, scope_level) = (unknown(0xa1), unknown(0xa2), unknown(0xa3));
    let parts = by_trace(&request(&request_level, &resource_level, &scope_level));
    assert_eq!(parts.len(), 2);
    for part in parts {
        assert!(contains(&part.body, &request_level));
        assert!(contains(&part.body, &resource_level));
        assert!(contains(&part.body, &scope_level));
        assert_eq!(count_items(&part.body, Signal::Traces), Ok(1));
    }
}

#[test]
fn of_two_trace_ids_in_a_span_the_last_one_counts() {
    let twice = message(&[(1, &[1; 16]), (1, &[7; 16])]);
    let scope = message(&[(2, &twice)]);
    let body = Bytes::from(message(&[(1, &message(&[(2, &scope)]))]));
    let parts = by_trace(&body);
    assert_eq!(parts[0].destination, 7);
}

#[test]
fn a_request_of_one_destination_is_not_copied() {
    let body = request(&[], &[], &[]);
    let parts = split(&body, Signal::Traces, &RouteBy::TraceId, |_| 3).unwrap();
    assert_eq!(parts.len(), 1);
    assert_eq!((parts[0].destination, parts[0].items), (3, 2));
    assert_eq!(parts[0].body.as_ptr(), body.as_ptr());
}

#[test]
fn a_request_without_items_has_no_parts() {
    let empty_scope = message(&[(1, &message(&[(2, &[])]))]);
    for body in [Vec::new(), message(&[(1, &[])]), empty_scope] {
        for by in [RouteBy::TraceId, RouteBy::service_name()] {
            let parts = split(&body.clone().into(), Signal::Traces, &by, |_| 0).unwrap();
            assert!(parts.is_empty());
        }
    }
}

#[test]
fn of_a_metric_that_is_two_things_the_last_kind_is_counted() {
    let gauge = message(&[(1, &[]), (1, &[]), (1, &[])]);
    let sum = message(&[(1, &[])]);
    let metric = message(&[(5, &gauge), (7, &sum)]);
    let scope = message(&[(2, &metric)]);
    let body = message(&[(1, &message(&[(2, &scope)]))]);
    assert_eq!(count_items(&body, Signal::Metrics), Ok(1));
}

#[test]
fn a_resource_in_two_pieces_is_routed_by_either() {
    let attribute = message(&[(1, b"service.name"), (2, &message(&[(1, b"cart")]))]);
    let scope = message(&[(2, &span(1))]);
    let resource = message(&[(1, &message(&[(1, &attribute)])), (2, &scope), (1, &[])]);
    let body = Bytes::from(message(&[(1, &resource)]));
    let mut keys = Vec::new();
    let parts = split(&body, Signal::Traces, &RouteBy::service_name(), |key| {
        keys.push(key.map(<[u8]>::to_vec));
        0
    });
    assert_eq!(parts.unwrap()[0].items, 1);
    assert_eq!(keys, [Some(b"cart".to_vec())]);
}

/// The service of a request whose one resource has these values, one after the other, for one attribute.
fn service_of(values: &[&[u8]]) -> Option<Vec<u8>> {
    let mut attribute = message(&[(1, b"service.name")]);
    for value in values {
        field(&mut attribute, 2, value);
    }
    let scope = message(&[(2, &span(1))]);
    let resource = message(&[(1, &message(&[(1, &attribute)])), (2, &scope)]);
    let body = Bytes::from(message(&[(1, &resource)]));
    let mut service = None;
    split(&body, Signal::Traces, &RouteBy::service_name(), |key| {
        service = key.map(<[u8]>::to_vec);
        0
    })
    .unwrap();
    service
}

#[test]
fn of_several_values_of_an_attribute_the_last_one_counts() {
    let text = |text: &[u8]| message(&[(1, text)]);
    let number: &[u8] = &[0x18, 7];
    let (first, last) = (text(b"first"), text(b"last"));
    assert_eq!(service_of(&[&first, &last]), Some(b"last".to_vec()));
    assert_eq!(
        service_of(&[&[&first[..], &last].concat()]),
        Some(b"last".to_vec())
    );
    // Pieces of one value; and what is no kind of value takes nothing away.
    assert_eq!(service_of(&[&first, &[]]), Some(b"first".to_vec()));
    let unknown = message(&[(100, b"x")]);
    assert_eq!(
        service_of(&[&[&first[..], &unknown].concat()]),
        Some(b"first".to_vec())
    );
    assert_eq!(
        service_of(&[&[&first[..], number].concat()]),
        Some([&first[..], number].concat())
    );
    assert_eq!(service_of(&[&[number, &last].concat()]), Some(b"last".to_vec()));
    assert_eq!(service_of(&[]), None);
}
