//! A server whose ways change while it runs.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, Socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::nobody::bound;

/// How a [`Host`] behaves now, towards new connections and those that are open alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mood {
    /// Sends back what it gets.
    #[default]
    Well,
    /// Does so after this time.
    Slow(Duration),
    /// Accepts and reads, and answers nothing; once it is in another mood, it goes on where it was.
    Hanging,
    /// Cuts the connection (RST) when something comes.
    Failing,
    /// Dead: open connections end, and the address refuses every new one.
    Down,
}

/// An echo server at an address that stays its own, also while it is [`Down`](Mood::Down); ends with all its
/// connections when dropped.
///
/// The address is bound from beginning to end. So nobody else gets it while the server is down, and no client that
/// knocks there gets it as its own local port, which would connect that client with itself.
#[derive(Debug)]
pub struct Host {
    addr: SocketAddr,
    mood: watch::Sender<Mood>,
    task: JoinHandle<io::Result<()>>,
    _place: Socket,
}

impl Host {
    /// Listens on a free port of 127.0.0.1, in the mood [`Well`](Mood::Well).
    ///
    /// # Errors
    ///
    /// The system's, if it can not listen.
    pub fn start() -> io::Result<Self> {
        let (place, addr) = bound()?;
        let listener = listen(addr)?;
        let (mood, watched) = watch::channel(Mood::default());
        let task = tokio::spawn(serve(listener, addr, watched));
        Ok(Self {
            addr,
            mood,
            task,
            _place: place,
        })
    }

    /// Where it listens, or would if it were not down.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on it behaves like this. Who goes down or comes up does so at once, but in a task of its own.
    pub fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// How it behaves.
    #[must_use]
    pub fn mood(&self) -> Mood {
        *self.mood.borrow()
    }

    /// Whether it could not go on: its address could not be listened on again, or no connection be accepted any
    /// more. Then it is as good as down, whatever its mood.
    #[must_use]
    pub fn has_crashed(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Beside the socket that keeps the address, which has this as well and never listens.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(1024)
}

async fn serve(listener: TcpListener, addr: SocketAddr, mut mood: watch::Receiver<Mood>) -> io::Result<()> {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        let down = *mood.borrow_and_update() == Mood::Down;
        if down {
            listener = None;
            connections.shutdown().await;
        }
        let up = match listener.take() {
            Some(up) => Some(up),
            None if down => None,
            None => Some(listen(addr)?),
        };
        tokio::select! {
            // The sender lives as long as this task does.
            _ = mood.changed() => {}
            accepted = accept(up.as_ref()) => {
                connections.spawn(converse(accepted?, mood.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
        listener = up;
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

/// Ends when the peer has gone; what the peer broke off is of no interest here.
async fn converse(mut stream: TcpStream, mut mood: watch::Receiver<Mood>) {
    let mut buf = vec![0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut buf).await {
        loop {
            let now = *mood.borrow_and_update();
            match now {
                Mood::Well => break,
                Mood::Slow(delay) => {
                    sleep(delay).await;
                    break;
                }
                Mood::Failing => {
                    // With no time to linger, closing sends RST.
                    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                    return;
                }
                Mood::Hanging | Mood::Down => {
                    if mood.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
        let Some(got) = buf.get(..n) else { return };
        if stream.write_all(got).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    async fn answers(stream: &mut TcpStream) -> io::Result<()> {
        stream.write_all(b"ahoy").await?;
        stream.read_exact(&mut [0; 4]).await.map(|_| ())
    }

    /// Until the host's task has taken notice.
    async fn connects(host: &Host, wanted: bool) {
        while TcpStream::connect(host.addr()).await.is_ok() != wanted {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn one_that_was_down_refuses_and_comes_back_at_its_address() {
        let host = Host::start().unwrap();
        let mut stream = TcpStream::connect(host.addr()).await.unwrap();
        answers(&mut stream).await.unwrap();
        for _ in 0..20 {
            host.set(Mood::Down);
            connects(&host, false).await;
            assert!(answers(&mut stream).await.is_err(), "open connections are cut");
            host.set(Mood::Well);
            connects(&host, true).await;
            stream = TcpStream::connect(host.addr()).await.unwrap();
            answers(&mut stream).await.unwrap();
        }
        assert!(!host.has_crashed());
    }

    #[tokio::test]
    async fn one_that_hung_answers_late_and_nothing_is_lost() {
        let host = Host::start().unwrap();
        let mut stream = TcpStream::connect(host.addr()).await.unwrap();
        host.set(Mood::Hanging);
        assert!(timeout(SHORT, answers(&mut stream)).await.is_err());
        host.set(Mood::Well);
        stream.read_exact(&mut [0; 4]).await.unwrap();
        host.set(Mood::Failing);
        assert!(answers(&mut stream).await.is_err());
    }
}
