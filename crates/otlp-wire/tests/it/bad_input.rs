//! What is refused, and where it says the fault is.

use evenkeel_otlp_wire::{RouteBy, Signal, WireError, count_items, split};

fn refused(body: &[u8]) -> WireError {
    let counted = count_items(body, Signal::Traces).unwrap_err();
    let parts = split(&body.to_vec().into(), Signal::Traces, &RouteBy::TraceId, |_| 0);
    assert_eq!(parts.unwrap_err(), counted);
    counted
}

#[test]
fn the_error_says_at_which_byte_the_fault_is() {
    // A resource of 3 bytes with a scope in it that claims 9.
    assert_eq!(refused(&[0x0a, 3, 0x12, 9, 0]), WireError::Truncated { at: 2 });
    // A resource that goes beyond the body.
    assert_eq!(refused(&[0x0a, 200, 1]), WireError::Truncated { at: 0 });
    // A length that does not end.
    assert_eq!(refused(&[0x10, 1, 0x0a, 0xff]), WireError::Truncated { at: 3 });
    assert_eq!(refused(&[0x10, 1, 0x10]), WireError::Truncated { at: 3 });
    // Field 0; wire types 6 and 7; a field number of more than 29 bits.
    assert_eq!(refused(&[0x02, 0]), WireError::Tag { at: 0, tag: 2 });
    assert_eq!(refused(&[0x10, 1, 0x0e]), WireError::Tag { at: 2, tag: 0x0e });
    assert_eq!(
        refused(&[0x80, 0x80, 0x80, 0x80, 0x10]),
        WireError::Tag { at: 0, tag: 1 << 32 }
    );
    // Eleven bytes; and ten with a 65th bit.
    assert_eq!(
        refused(&[0x10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2]),
        WireError::Overlong { at: 1 }
    );
    // Groups: an end without a beginning, no end, the end of another.
    assert_eq!(refused(&[0x10, 1, 0x1c]), WireError::Group { at: 2 });
    assert_eq!(refused(&[0x10, 1, 0x1b, 0x08, 1]), WireError::Group { at: 2 });
    assert_eq!(refused(&[0x1b, 0x24]), WireError::Group { at: 1 });
    assert_eq!(
        refused(&[0x1b, 0x24]).to_string(),
        "byte 1: a group that does not end where it should, or is nested too deeply"
    );
}

#[test]
fn a_length_near_the_largest_number_does_not_overflow() {
    let body = [0x0a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
    assert_eq!(refused(&body), WireError::Truncated { at: 0 });
}

#[test]
fn groups_in_groups_do_not_use_up_the_stack() {
    let body = vec![0x1b; 1_000_000];
    assert_eq!(refused(&body), WireError::Group { at: 0 });
    let deep = [vec![0x1b; 100], vec![0x1c; 100]].concat();
    assert_eq!(count_items(&deep, Signal::Logs), Ok(0));
}
