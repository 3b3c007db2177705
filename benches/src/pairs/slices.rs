//! The work itself, timed.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::yield_now;

use crate::Error;
use crate::exchange::{Buffers, Exchange, MESSAGE};

/// Pairs between two refills of a pipe that is to have data always. Few enough that tokio never makes the
/// contender wait for having done too much at a time.
pub(super) const READY: usize = 16;

/// Nanoseconds per pair, when the pairs are done.
pub type Timing<'a> = Pin<Box<dyn Future<Output = Result<f64, Error>> + Send + 'a>>;

/// A contender on its open connection. The table is gone through once per call: the work inside is compiled
/// for each contender by itself.
pub trait Pairs: Send {
    /// Does at least that many pairs.
    fn run(&mut self, pairs: usize) -> Timing<'_>;
}

/// Every message is answered by a peer that echoes, so every read waits.
#[derive(Debug)]
struct Echoed<E> {
    conn: E,
    buffers: Buffers,
    tag: u64,
}

/// That on a connection to such a peer.
pub(super) fn echoed(conn: impl Exchange) -> Box<dyn Pairs> {
    Box::new(Echoed {
        conn,
        buffers: Buffers::default(),
        tag: 0,
    })
}

impl<E: Exchange> Pairs for Echoed<E> {
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
struct Ready<E> {
    conn: E,
    far_end: DuplexStream,
    buffers: Buffers,
    tag: u64,
    refill: Vec<u8>,
}

/// That on a pipe with room for [`READY`] messages.
pub(super) fn ready(conn: impl Exchange, far_end: DuplexStream) -> Box<dyn Pairs> {
    Box::new(Ready {
        conn,
        far_end,
        buffers: Buffers::default(),
        tag: 0,
        refill: vec![0; READY * MESSAGE],
    })
}

impl<E: Exchange> Pairs for Ready<E> {
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

/// The far end of a pipe: sends back what comes, until the pipe is closed.
pub(super) async fn echo(mut pipe: DuplexStream) -> io::Result<()> {
    let mut buffer = vec![0; MESSAGE];
    loop {
        let n = pipe.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        pipe.write_all(&buffer[..n]).await?;
    }
}
