//! What happens when this process may open no more files.

use std::process::Command;

use evenkeel_io_core::{AsyncIoConfig, ConnectError};
use evenkeel_stats::FailureKind;
use evenkeel_testkit::{Backend, Behaviour};

use super::real;

/// The limit is the process's, so the part that meets it runs in a child under `ulimit -n`.
const CHILD: &str = "descriptors::in_a_child_with_few_descriptors";

#[cfg(unix)]
#[test]
fn running_out_of_descriptors_is_an_error_and_passes() {
    let this = std::env::current_exe().unwrap();
    let output = Command::new("sh")
        .args([
            "-c",
            "ulimit -n 40 && exec \"$0\" --exact \"$1\" --ignored --nocapture",
        ])
        .arg(this)
        .arg(CHILD)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
#[ignore = "runs in the child of the test above"]
fn in_a_child_with_few_descriptors() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        // The listening side is ours too, so descriptors go in pairs; it accepts nothing, to keep the
        // count simple: the kernel completes the handshakes by itself.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let manager = real(AsyncIoConfig::default());
        let mut open = Vec::new();
        let error = loop {
            match manager.connect(addr).await {
                Ok(connection) => open.push(connection),
                Err(error) => break error,
            }
            assert!(open.len() < 64, "the limit did not hold");
        };
        assert!(matches!(error, ConnectError::Connect { .. }), "{error}");
        assert_eq!(error.failure().kind, FailureKind::Resources, "{error}");
        assert_eq!(manager.stats().active_connections, open.len());

        open.pop();
        manager.connect(addr).await.expect("a descriptor is free again");
    });
}

#[tokio::test]
async fn a_thousand_connections_come_and_go_without_a_leak() {
    let backend = Backend::start(Behaviour::Echo).await.unwrap();
    let manager = real(AsyncIoConfig {
        max_connections: 8,
        ..AsyncIoConfig::default()
    });
    let tasks: Vec<_> = (0..1000)
        .map(|_| {
            let (manager, addr) = (manager.clone(), backend.addr());
            tokio::spawn(async move { manager.connect(addr).await.map(drop) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let stats = manager.stats();
    assert_eq!((stats.active_connections, stats.total_connections), (0, 1000));
    assert!(stats.peak_connections <= 8);
}
