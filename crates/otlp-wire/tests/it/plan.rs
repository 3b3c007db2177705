//! A split whose memory is bounded.

use bytes::Bytes;
use evenkeel_otlp_wire::{RouteBy, Signal, SplitPlan, WireError, check_split, split};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;

use crate::requests::traces;

fn place(key: Option<&[u8]>) -> u32 {
    key.map_or(0, |key| u32::from(key[0]) % 3)
}

/// So many scopes of one span without fields, in one resource.
fn crumbs(scopes: usize) -> Bytes {
    let inside = [0x12, 2, 0x12, 0].repeat(scopes);
    let mut body = vec![0x0a];
    prost::encode_length_delimiter(inside.len(), &mut body).unwrap();
    body.extend(inside);
    body.into()
}

#[test]
fn a_request_of_crumbs_does_not_take_more_memory_than_it_may() {
    const ROOM: usize = 1 << 20;
    let body = crumbs(1 << 20);
    let mut refused = None;
    let used = allocation_counter::measure(|| {
        refused = SplitPlan::new(&body, Signal::Traces, &RouteBy::TraceId, ROOM, |_| 0).err();
    });
    assert_eq!(refused, Some(WireError::NoRoom { room: ROOM }));
    assert!(
        used.bytes_max <= ROOM as u64,
        "{} bytes for the notes",
        used.bytes_max
    );
    let parts = split(&body, Signal::Traces, &RouteBy::TraceId, |_| 0).unwrap();
    assert_eq!(parts[0].items, 1 << 20, "there is nothing else wrong with it");
}

proptest! {
    #[test]
    fn what_a_plan_says_it_copies_is_what_it_copies(request in traces(), by_trace: bool) {
        let body = Bytes::from(request.encode_to_vec());
        let by = if by_trace { RouteBy::TraceId } else { RouteBy::service_name() };
        let plan = SplitPlan::new(&body, Signal::Traces, &by, usize::MAX, place).unwrap();
        let (copies, items) = (plan.copies(), plan.items());
        let parts = plan.into_parts();
        let long: usize = parts.iter().map(|part| part.body.len()).sum();
        prop_assert_eq!(copies, if parts.len() > 1 { long } else { 0 });
        prop_assert_eq!(items, parts.iter().map(|part| part.items).sum::<usize>());
    }

    #[test]
    fn what_is_found_good_can_be_split_and_what_is_not_can_not(
        request in traces(),
        damage in vec((any::<Index>(), any::<u8>()), 0..4),
        by_trace: bool,
    ) {
        let mut body = request.encode_to_vec();
        for (index, byte) in damage {
            if !body.is_empty() {
                let at = index.index(body.len());
                body[at] = byte;
            }
        }
        let by = if by_trace { RouteBy::TraceId } else { RouteBy::service_name() };
        for signal in Signal::ALL {
            let good = check_split(&body, signal, &by);
            let parts = split(&body.clone().into(), signal, &by, place);
            prop_assert_eq!(good.is_ok(), parts.is_ok());
        }
    }
}
