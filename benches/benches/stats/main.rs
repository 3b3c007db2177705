//! The statistics crate beside the crates people use today.
//!
//! `cargo bench -p evenkeel-benches --features peers --bench stats`; groups are `stats/<operation>`, contenders are
//! named by crate. Peers are run as their users run them: handles bound once, no label look-up, the
//! recorder one that really keeps what it is told.

mod averages;
mod clocks;
mod drive;
mod peers;
mod record;
mod snapshots;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    // Short: the drives take the time in chunks, so a run of two seconds sees thousands of them.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50)
        .configure_from_args();
    record::one_thread(&mut criterion);
    record::two_threads(&mut criterion);
    snapshots::snapshots(&mut criterion);
    averages::averages(&mut criterion);
    averages::windows(&mut criterion);
    clocks::clocks(&mut criterion);
    criterion.final_summary();
}
