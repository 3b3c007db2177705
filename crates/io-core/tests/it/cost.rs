//! What a connection costs in memory, stated in the README and held to here.

use evenkeel_io_core::{AsyncConnection, Transport};

#[test]
fn the_state_of_an_idle_connection_stays_under_a_kibibyte() {
    // The entry in the registry is counted by the unit test beside it.
    assert!(
        size_of::<AsyncConnection<Transport>>() <= 320,
        "{}",
        size_of::<AsyncConnection<Transport>>()
    );
}
