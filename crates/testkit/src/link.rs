//! A simulated link to one server, for partitions and black holes in virtual time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::watch;
use tokio::time::sleep;

/// Bytes that an end may have under way before its writes wait, as in a socket's buffers.
const BUFFER: usize = 64 * 1024;

/// A link to a server that echoes, without a kernel: streams in memory, whose two directions can be cut, healed
/// and delayed, each by itself.
///
/// It keeps to what TCP does as far as a client can tell: what is sent into a cut is held and arrives once it is
/// healed, and a connect needs both directions. Nothing is lost and nothing reordered. With tokio's time paused it is deterministic on a runtime of one thread.
///
/// ```
/// use std::time::Duration;
/// use evenkeel_testkit::Link;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let link = Link::new();
/// let mut stream = link.connect().await?;
/// link.cut_answers();
/// stream.write_all(b"ahoy").await?;
/// let answer = tokio::time::timeout(Duration::from_millis(1), stream.read_u32()).await;
/// assert!(answer.is_err());
/// assert_eq!(link.arrived(), 4); // the request did arrive
/// link.heal();
/// stream.read_u32().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Link {
    state: watch::Sender<State>,
    arrived: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    requests_cut: bool,
    answers_cut: bool,
    delay: Duration,
}

/// Which way bytes go.
#[derive(Clone, Copy)]
enum Way {
    Request,
    Answer,
}

impl Default for Link {
    fn default() -> Self {
        Self::new()
    }
}

impl Link {
    /// A link that is whole and takes no time.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: watch::Sender::new(State::default()),
            arrived: Arc::default(),
        }
    }

    /// Nothing passes: a partition, and to whoever connects a black hole.
    pub fn cut(&self) {
        self.cut_requests();
        self.cut_answers();
    }

    /// What the client sends does not arrive.
    pub fn cut_requests(&self) {
        self.state.send_modify(|state| state.requests_cut = true);
    }

    /// What the server sends does not arrive.
    pub fn cut_answers(&self) {
        self.state.send_modify(|state| state.answers_cut = true);
    }

    /// Everything passes again, what was held first.
    pub fn heal(&self) {
        self.state.send_modify(|state| {
            state.requests_cut = false;
            state.answers_cut = false;
        });
    }

    /// Each direction takes this long from now on.
    pub fn delay(&self, delay: Duration) {
        self.state.send_modify(|state| state.delay = delay);
    }

    /// How many bytes have arrived at the server.
    #[must_use]
    pub fn arrived(&self) -> usize {
        self.arrived.load(Ordering::SeqCst)
    }

    /// Connects, once both directions pass.
    ///
    /// # Errors
    ///
    /// If the link is dropped meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Dropped, there is no connection.
    pub async fn connect(&self) -> io::Result<DuplexStream> {
        let mut state = self.state.subscribe();
        for way in [Way::Request, Way::Answer] {
            pass(&mut state, way).await?;
        }
        let (ours, theirs) = duplex(BUFFER);
        drop(tokio::spawn(echo(theirs, state, self.arrived.clone())));
        Ok(ours)
    }
}

impl State {
    const fn is_cut(&self, way: Way) -> bool {
        match way {
            Way::Request => self.requests_cut,
            Way::Answer => self.answers_cut,
        }
    }
}

/// Waits until that way is open, and as long as the way takes.
async fn pass(state: &mut watch::Receiver<State>, way: Way) -> io::Result<()> {
    let gone = |_| io::Error::from(io::ErrorKind::ConnectionReset);
    let delay = state
        .wait_for(|state| !state.is_cut(way))
        .await
        .map_err(gone)?
        .delay;
    if !delay.is_zero() {
        sleep(delay).await;
    }
    Ok(())
}

/// The link and the server behind it: one thing after the other, so that nothing is overtaken.
async fn echo(
    mut stream: DuplexStream,
    mut state: watch::Receiver<State>,
    arrived: Arc<AtomicUsize>,
) -> io::Result<()> {
    let mut buf = vec![0; 4096];
    loop {
        let n = stream.read(&mut buf).await?;
        let Some(got @ [_, ..]) = buf.get(..n) else {
            return Ok(());
        };
        pass(&mut state, Way::Request).await?;
        arrived.fetch_add(n, Ordering::SeqCst);
        pass(&mut state, Way::Answer).await?;
        stream.write_all(got).await?;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, timeout};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_into_a_cut_arrives_when_it_is_healed() {
        let link = Link::new();
        let mut stream = link.connect().await.unwrap();
        link.cut_requests();
        stream.write_all(b"ahoy").await.unwrap();
        assert!(timeout(LONG, stream.read_u8()).await.is_err());
        assert_eq!(link.arrived(), 0);
        link.heal();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!((&answer, link.arrived()), (b"ahoy", 4));
    }

    #[tokio::test(start_paused = true)]
    async fn either_direction_alone_makes_a_black_hole_of_it() {
        let link = Link::new();
        for cut in [Link::cut_requests, Link::cut_answers] {
            cut(&link);
            assert!(timeout(LONG, link.connect()).await.is_err());
            link.heal();
            link.connect().await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_is_that_of_each_direction() {
        let link = Link::new();
        link.delay(Duration::from_millis(5));
        let started = Instant::now();
        let mut stream = link.connect().await.unwrap();
        assert_eq!(started.elapsed(), Duration::from_millis(10));
        stream.write_all(b"ahoy").await.unwrap();
        stream.read_u32().await.unwrap();
        assert_eq!(started.elapsed(), Duration::from_millis(20));
    }
}
