//! The examples run, so that they stay true.

#[allow(dead_code, reason = "its main")]
#[path = "../../examples/failover.rs"]
mod failover;

#[cfg(feature = "tower")]
#[allow(dead_code, reason = "its main")]
#[path = "../../examples/hyper_client.rs"]
mod hyper_client;

#[allow(dead_code, reason = "its main")]
#[path = "../../examples/plug_in_strategy.rs"]
mod plug_in_strategy;

#[cfg(feature = "tower")]
#[allow(dead_code, reason = "its main")]
#[path = "../../examples/tonic_client.rs"]
mod tonic_client;

#[tokio::test]
async fn nobody_notices_a_backend_that_dies_and_comes_back() {
    failover::run(6).await.unwrap();
}

#[test]
fn a_strategy_of_ones_own_fills_backends_up_and_passes_over_one_that_is_disabled() {
    let [before, after] = plug_in_strategy::run().unwrap();
    assert_eq!(before, [10, 10, 5, 0, 0]);
    assert_eq!(after, [10, 10, 10, 5, 0]);
}

#[cfg(feature = "tower")]
#[tokio::test]
async fn a_hyper_client_is_balanced_by_a_layer() {
    hyper_client::run().await.unwrap();
}

#[cfg(feature = "tower")]
#[tokio::test]
async fn a_tonic_client_is_balanced_by_a_service() {
    tonic_client::run().await.unwrap();
}
