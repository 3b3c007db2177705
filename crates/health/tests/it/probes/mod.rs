//! Probes against real servers on loopback, well and sick.

mod grpc;
mod http;
mod server;
mod tls;

use std::time::Duration;

use evenkeel_health::{CheckConfig, HealthChecker, Probe};
use evenkeel_io_core::{AsyncIoConfig, AsyncIoManager, Target};

fn manager() -> AsyncIoManager {
    AsyncIoManager::new(AsyncIoConfig::default()).unwrap()
}

/// Waits until nothing is open any more: tasks that were told to end take a turn to.
async fn nothing_is_left(manager: &AsyncIoManager) {
    let nothing = async {
        while manager.stats().active_connections > 0 {
            tokio::task::yield_now().await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(10), nothing).await;
    ended.unwrap_or_else(|_| panic!("left open: {:?}", manager.stats()));
}

/// What a checker with a short time says of a backend that does not answer in it.
async fn error_of_checker(probe: impl Probe, target: Target) -> String {
    let config = CheckConfig {
        health_check_timeout: Duration::from_millis(50),
        ..CheckConfig::default()
    };
    let checker = HealthChecker::new(config, 1, probe).unwrap();
    let (mut health, checks) = checker.watch(target);
    tokio::spawn(checks);
    let report = health.changed().await.unwrap();
    assert_eq!(report.healthy, Some(false));
    report.error.unwrap().to_string()
}
