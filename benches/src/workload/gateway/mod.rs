//! Scenarios about the gateway: three collectors (`evenkeel sink`), a sender that verifies (`evenkeel send`),
//! and between them ours, a peer, or nobody. All are processes of their own.

mod ask;
pub(super) mod faults;
mod folder;
pub(super) mod kill;
mod process;
mod proxy;
pub(super) mod route;
mod send;
pub(super) mod serial;
mod sinks;
pub(super) mod throughput;

/// Who stands between.
pub(super) const CONTENDERS: &[&str] = &["evenkeel", "direct", "envoy", "haproxy", "nginx"];

/// A runtime for what only waits for processes.
fn runtime() -> Result<tokio::runtime::Runtime, crate::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(crate::Error::io("cannot start the runtime"))
}
