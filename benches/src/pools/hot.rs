//! Checkout and return without I/O: what a pool itself costs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::{Pool, Source};
use crate::Error;

/// Connections that are numbers.
#[derive(Debug, Clone, Default)]
pub struct Numbers(Arc<AtomicU64>);

impl Source for Numbers {
    type Connection = u64;

    async fn make(&self) -> Result<u64, Error> {
        Ok(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// One task, one loan after the other.
///
/// # Errors
/// When the pool gives none.
pub async fn one_by_one<P: Pool<Connection = u64>>(pool: &P, loans: u64) -> Result<Duration, Error> {
    let start = Instant::now();
    for _ in 0..loans {
        let mut loan = pool.checkout().await?;
        *loan = loan.wrapping_add(1);
    }
    Ok(start.elapsed())
}

/// What many tasks at few connections saw.
#[derive(Debug, Default)]
pub struct Contended {
    /// From the first loan to the end of the last.
    pub took: Duration,
    /// How long each checkout took, in nanoseconds.
    pub waits: Vec<f64>,
}

/// `tasks` tasks, each `loans` times: check out, yield while holding, give back. With `stamps` each checkout
/// is timed, which costs as much as some of the pools do.
///
/// # Errors
/// When the pool gives none.
pub async fn contended<P: Pool<Connection = u64>>(
    pool: &P,
    tasks: usize,
    loans: usize,
    stamps: bool,
) -> Result<Contended, Error> {
    let meet = Arc::new(tokio::sync::Barrier::new(tasks + 1));
    let mut running = Vec::with_capacity(tasks);
    for _ in 0..tasks {
        let (pool, meet) = (pool.clone(), meet.clone());
        running.push(tokio::spawn(async move {
            let mut waits = Vec::with_capacity(loans);
            meet.wait().await;
            for _ in 0..loans {
                let asked = stamps.then(Instant::now);
                let mut loan = pool.checkout().await?;
                waits.extend(asked.map(|asked| asked.elapsed().as_nanos() as f64));
                *loan = loan.wrapping_add(1);
                tokio::task::yield_now().await;
            }
            Ok::<_, Error>(waits)
        }));
    }
    meet.wait().await;
    let start = Instant::now();
    let mut all = Contended::default();
    for task in running {
        all.waits
            .extend(task.await.map_err(|e| Error::contender("task", e))??);
    }
    all.took = start.elapsed();
    Ok(all)
}

/// `threads` threads of the operating system, each blocked on its own checkouts, `loans` times. Must be called
/// from outside of the runtime that `handle` is of.
///
/// # Errors
/// When the pool gives none.
pub fn block_threads<P: Pool<Connection = u64>>(
    pool: &P,
    handle: &Handle,
    threads: usize,
    loans: usize,
) -> Result<Contended, Error> {
    let meet = Barrier::new(threads + 1);
    std::thread::scope(|scope| {
        let mut running = Vec::with_capacity(threads);
        for _ in 0..threads {
            let meet = &meet;
            running.push(scope.spawn(move || {
                let _inside = handle.enter();
                meet.wait();
                handle.block_on(async {
                    let mut waits = Vec::with_capacity(loans);
                    for _ in 0..loans {
                        let asked = Instant::now();
                        let mut loan = pool.checkout().await?;
                        waits.push(asked.elapsed().as_nanos() as f64);
                        *loan = loan.wrapping_add(1);
                    }
                    Ok::<_, Error>(waits)
                })
            }));
        }
        meet.wait();
        let start = Instant::now();
        let mut all = Contended::default();
        for thread in running {
            let waits = thread.join();
            all.waits
                .extend(waits.map_err(|_| Error::Contender("a thread panicked".to_owned()))??);
        }
        all.took = start.elapsed();
        Ok(all)
    })
}
