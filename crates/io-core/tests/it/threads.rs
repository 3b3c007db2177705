//! What only shows when the reactor, the reader and the one who closes run on different threads.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use evenkeel_io_core::{AsyncConnection, AsyncIoConfig};

use super::real;

/// A peer on a thread of its own that sends eight bytes one by one, a little apart, and waits for one.
fn drip(seed: u64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let mut random = seed;
        loop {
            for _ in 0..8 {
                if stream.write_all(b"1").is_err() {
                    return;
                }
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                for _ in 0..(random >> 33) % 200 {
                    std::hint::spin_loop();
                }
            }
            if stream.read_exact(&mut [0]).is_err() {
                return;
            }
        }
    });
    addr
}

async fn read_rounds(mut connection: AsyncConnection, rounds: usize) {
    let mut buf = [0; 64];
    for round in 0..rounds {
        let mut got = 0;
        while got < 8 {
            match connection.read(&mut buf).await {
                Ok(n) => got += n,
                Err(error) => panic!("round {round}: {error}; {:?}", connection.liveness()),
            }
        }
        connection.write_all(b"a").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_byte_that_comes_while_a_read_ends_wakes_the_next_one() {
    let manager = real(AsyncIoConfig {
        read_timeout: Duration::from_secs(20),
        ..AsyncIoConfig::default()
    });
    let mut tasks = Vec::new();
    for seed in 0..12 {
        let connection = manager.connect(drip(seed)).await.unwrap();
        tasks.push(tokio::spawn(read_rounds(connection, 1500)));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_closed_during_a_read_never_looks_like_a_clean_end() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let manager = real(AsyncIoConfig::default());
    for round in 0..1500 {
        let connecting = manager.connect(listener.local_addr().unwrap());
        let (connection, accepted) = tokio::join!(connecting, listener.accept());
        let (mut connection, (mut peer, _)) = (connection.unwrap(), accepted.unwrap());
        tokio::io::AsyncWriteExt::write_all(&mut peer, &[7; 512])
            .await
            .unwrap();
        let id = connection.id();
        let (ready, wait) = std::sync::mpsc::channel();
        let closer = std::thread::spawn({
            let manager = manager.clone();
            move || {
                wait.recv().unwrap();
                for _ in 0..(round % 40) * 30 {
                    std::hint::spin_loop();
                }
                manager.close(id);
            }
        });
        let read = tokio::spawn(async move {
            let mut buf = [0; 512];
            connection.read_exact(&mut buf).await.unwrap();
            ready.send(()).unwrap();
            connection.read(&mut buf).await
        });
        assert!(read.await.unwrap().is_err(), "a cut looked like the peer's end");
        closer.join().unwrap();
    }
}
