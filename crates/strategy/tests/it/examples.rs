//! The examples run.

#[path = "../../examples/own_strategy.rs"]
mod own_strategy;
#[path = "../../examples/retry.rs"]
mod retry;

#[test]
fn a_strategy_of_ones_own_runs_beside_the_built_in_ones() {
    own_strategy::main().unwrap();
}

#[test]
fn a_retry_goes_elsewhere() {
    retry::main().unwrap();
}
