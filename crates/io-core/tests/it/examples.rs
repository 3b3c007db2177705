//! The examples run, so that they stay true.

#[allow(dead_code, reason = "its main")]
#[path = "../../examples/http.rs"]
mod http;

#[allow(dead_code, reason = "its main")]
#[path = "../../examples/tonic.rs"]
mod tonic_channel;

#[tokio::test]
async fn hyper_speaks_http_over_a_managed_connection() {
    http::run().await.unwrap();
}

#[tokio::test]
async fn tonic_speaks_grpc_over_a_managed_connection() {
    tonic_channel::run().await.unwrap();
}
