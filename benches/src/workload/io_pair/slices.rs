//! One contender's work in one slice.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::yield_now;

use crate::Error;
use crate::exchange::{Buffers, Exchange, MESSAGE, READY};

/// Nanoseconds per pair.
pub(super) type Timing<'a> = Pin<Box<dyn Future<Output = Result<f64, Error>> + 'a>>;

/// A contender on its open connection. Called through a table once per slice: the work inside is compiled for
/// each contender by itself.
pub(super) trait Slice {
    /// Does that many pairs.
    fn run(&mut self, pairs: usize) -> Timing<'_>;
}

/// Every message is answered by a peer that echoes, so every read waits.
#[derive(Debug)]
pub(super) struct Echoed<E> {
    conn: E,
    buffers: Buffers,
    tag: u64,
}

impl<E: Exchange> Echoed<E> {
    pub(super) fn on(conn: E) -> Self {
        Self {
            conn,
            buffers: Buffers::default(),
            tag: 0,
        }
    }
}

impl<E: Exchange> Slice for Echoed<E> {
    fn run(&mut self, pairs: usize) -> Timing<'_> {
        Box::pin(async move {
            let start = Instant::now();
            pairs_on(&mut self.conn, &mut self.buffers, &mut self.tag, pairs).await?;
            let took = start.elapsed();
            // Bytes keep their order: if the last answer is right, none was skipped.
            self.buffers.verify()?;
            Ok(per_pair(took, pairs))
        })
    }
}

/// The pipe always has room and data, so nothing waits.
#[derive(Debug)]
pub(super) struct Ready<E> {
    conn: E,
    far_end: DuplexStream,
    buffers: Buffers,
    tag: u64,
    refill: Vec<u8>,
}

impl<E: Exchange> Ready<E> {
    pub(super) fn on(conn: E, far_end: DuplexStream) -> Self {
        Self {
            conn,
            far_end,
            buffers: Buffers::default(),
            tag: 0,
            refill: vec![0; READY * MESSAGE],
        }
    }
}

impl<E: Exchange> Slice for Ready<E> {
    fn run(&mut self, pairs: usize) -> Timing<'_> {
        Box::pin(async move {
            let failed = |e| Error::contender("the far end", e);
            let mut took = Duration::ZERO;
            let batches = pairs.div_ceil(READY);
            for _ in 0..batches {
                self.far_end.write_all(&self.refill).await.map_err(failed)?;
                let start = Instant::now();
                pairs_on(&mut self.conn, &mut self.buffers, &mut self.tag, READY).await?;
                took += start.elapsed();
                // What was written now is what will be read next.
                self.far_end.read_exact(&mut self.refill).await.map_err(failed)?;
                yield_now().await;
            }
            let expected = self.refill.ends_with(&(self.tag - 1).to_le_bytes());
            if !expected {
                return Err(Error::Contender(
                    "the far end did not get what was sent".to_owned(),
                ));
            }
            Ok(per_pair(took, batches * READY))
        })
    }
}

async fn pairs_on<E: Exchange>(
    conn: &mut E,
    buffers: &mut Buffers,
    tag: &mut u64,
    pairs: usize,
) -> Result<(), Error> {
    for _ in 0..pairs {
        let (message, answer) = buffers.prepare(*tag);
        *tag += 1;
        conn.send(message)
            .await
            .map_err(|e| Error::contender("write", e))?;
        conn.receive(answer)
            .await
            .map_err(|e| Error::contender("read", e))?;
    }
    Ok(())
}

fn per_pair(took: Duration, pairs: usize) -> f64 {
    took.as_secs_f64() * 1e9 / pairs.max(1) as f64
}
