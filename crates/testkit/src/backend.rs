//! A server that accepts, and then behaves as it was told.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What a [`Backend`] does with each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Behaviour {
    /// Sends back what it gets.
    Echo,
    /// Accepts, and then neither reads nor writes nor closes: a peer that hangs.
    Silent,
    /// Cuts the connection (RST) at once.
    Reset,
    /// Cuts the connection (RST) when the first byte comes.
    ResetOnFirstByte,
    /// Ends its half at once, in good order, and keeps reading.
    Close,
    /// Echoes this many bytes, then closes in good order, in the middle of whatever it was.
    CloseAfter(usize),
    /// Waits for the first bytes, says this whatever they are, and closes in good order.
    Answer(&'static str),
    /// Says something without being asked, then is silent.
    Talk,
}

/// A listening server; ends with all its connections when dropped.
#[derive(Debug)]
pub struct Backend {
    addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Backend {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// The system's, if it can not listen.
    pub async fn start(behaviour: Behaviour) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            // An accept that fails (out of descriptors, say) ends the backend, as a crash would.
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                connections.spawn(behave(stream, behaviour));
            }
        });
        Ok(Self { addr, accepted, task })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many connections it has accepted so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Ends when the peer has gone; what the peer broke off is of no interest here.
async fn behave(mut stream: TcpStream, behaviour: Behaviour) {
    let mut buf = vec![0; 16 * 1024];
    match behaviour {
        Behaviour::Echo => {
            let _ = echo(&mut stream, usize::MAX, &mut buf).await;
        }
        Behaviour::Silent => std::future::pending::<()>().await,
        Behaviour::Reset => cut(&stream),
        Behaviour::ResetOnFirstByte => {
            let _ = stream.read(&mut buf[..1]).await;
            cut(&stream);
        }
        Behaviour::Close => end(&mut stream, &mut buf).await,
        Behaviour::CloseAfter(bytes) => {
            let _ = echo(&mut stream, bytes, &mut buf).await;
            end(&mut stream, &mut buf).await;
        }
        Behaviour::Answer(text) => {
            let _ = stream.read(&mut buf).await;
            let _ = stream.write_all(text.as_bytes()).await;
            end(&mut stream, &mut buf).await;
        }
        Behaviour::Talk => {
            let _ = stream.write_all(b"unasked").await;
            std::future::pending::<()>().await;
        }
    }
}

/// Ends our half and waits for the peer's end.
async fn end(stream: &mut TcpStream, buf: &mut [u8]) {
    let _ = stream.shutdown().await;
    while matches!(stream.read(buf).await, Ok(n) if n > 0) {}
}

/// With no time to linger, closing sends RST and throws away what was not sent.
fn cut(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

async fn echo(stream: &mut TcpStream, mut bytes: usize, buf: &mut [u8]) -> io::Result<()> {
    while bytes > 0 {
        let room = buf.len().min(bytes);
        let n = stream.read(&mut buf[..room]).await?;
        if n == 0 {
            break;
        }
        stream.write_all(&buf[..n]).await?;
        bytes -= n;
    }
    Ok(())
}
