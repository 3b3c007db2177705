//! [`AsyncConnection`]: a stream with deadlines, counts and a place at its manager's limits.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use evenkeel_stats::Clock;
use tokio::io::{AsyncRead, AsyncWrite, BufStream, ReadBuf};

use crate::deadline::Action;
use crate::session::Session;
use crate::{ConnectionId, ConnectionInfo, Target, Transport};

/// An open connection, made by [`AsyncIoManager::connect`](crate::AsyncIoManager::connect) or
/// [`adopt`](crate::AsyncIoManager::adopt)ed by a manager.
///
/// It is an [`AsyncRead`] and an [`AsyncWrite`], so any codec, hyper or tonic runs on it. Every
/// operation that has to wait does so at most for the manager's `read_timeout` or `write_timeout`;
/// [`IoError`](crate::IoError) says what state it leaves.
///
/// # Which operation a deadline belongs to
///
/// A read starts when it is first polled and ends when bytes come, and so does a write. The methods
/// of this type ([`read`](Self::read), [`write_all`](Self::write_all), …) also end it when their
/// future is dropped. Through the traits that can not be seen: somebody who polls a read, walks away
/// and polls again later is one operation, whose deadline counts from the first poll; only when its
/// deadline went by and nobody came is the next poll a new one. It keeps its place among the pending
/// operations meanwhile. That suits a reader that listens all the time; for such a one (an HTTP/2
/// connection, say) the read time-out is a limit on silence, and
/// [`set_read_timeout`](Self::set_read_timeout) lifts it. A reader without a time-out holds a place for
/// good: leave `max_pending_operations` room for all of them.
///
/// # On drop
///
/// The stream closes, the connection leaves the registry and its place at the limits is free at once,
/// also in a panic or when a task is aborted.
#[derive(Debug)]
pub struct AsyncConnection<S = Transport> {
    stream: S,
    session: Session,
}

impl<S> AsyncConnection<S> {
    pub(crate) const fn new(stream: S, session: Session) -> Self {
        Self { stream, session }
    }

    /// Its number in the manager.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.session.entry.id
    }

    /// The address at the other end.
    #[must_use]
    pub fn peer(&self) -> &Target {
        &self.session.entry.peer
    }

    /// Our own address, where the transport has one. Asks the system.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.session.entry.socket.local_addr()
    }

    /// What the registry knows of it now.
    #[must_use]
    pub fn info(&self) -> ConnectionInfo {
        self.session.entry.info(self.session.shared.clock.coarse())
    }

    /// Whether the manager has closed it: every operation fails from now on.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.session.entry.closing().is_some()
    }

    /// Whether every operation ran to its end and none is under way.
    ///
    /// `false` once an operation's future was dropped while it waited, its deadline passed, or it
    /// failed; through the traits, also while one that was polled has not become ready. The stream may
    /// then hold half a message, or an answer that belongs to nobody, so a pool should not give it to
    /// another user.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.session.is_settled()
    }

    /// The time-out of this connection's reads from now on; `None` waits for ever. An operation that
    /// waits already keeps the moment it started.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.session.operation(Action::Read).timeout = timeout;
    }

    /// The same for writes, flushes and the shutdown.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.session.operation(Action::Write).timeout = timeout;
        self.session.operation(Action::Settle).timeout = timeout;
    }

    /// The stream inside.
    #[must_use]
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream inside; what is read or written past the connection is neither timed nor counted.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }
}

impl AsyncConnection<Transport> {
    /// Whether the peer is still there, as far as this machine has heard: one non-blocking look at
    /// the socket, no round trip.
    ///
    /// It is meant for a connection that lies idle between two exchanges. There, anything but
    /// [`Liveness::Quiet`] means that it should not be used for another.
    ///
    /// It also lets go of the tasks that used the connection so far; until then the last of them keeps
    /// its memory.
    pub fn liveness(&mut self) -> Liveness {
        self.session.rest();
        if self.is_closing() {
            Liveness::Closed
        } else {
            self.stream.liveness()
        }
    }
}

/// What one look at an idle connection tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Liveness {
    /// Open, and nothing to read: as it should be between two exchanges.
    Quiet,
    /// Open, with bytes waiting that nobody asked for, or that were never read.
    DataWaiting,
    /// The peer has closed, or our manager has.
    Closed,
    /// The connection has failed.
    Broken,
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncConnection<S> {
    /// Reads what there is, at least a byte, and says how much; zero is the peer's end of the stream.
    ///
    /// # Errors
    ///
    /// The stream's own, or an [`IoError`](crate::IoError).
    ///
    /// # Cancel safety
    ///
    /// A dropped read has taken no byte, and its deadline and its place among the pending operations
    /// are gone with it.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(buf);
        let guard = Abandon {
            connection: self,
            action: Action::Read,
        };
        poll_fn(|cx| Pin::new(&mut *guard.connection).poll_read(cx, &mut buf)).await?;
        Ok(buf.filled().len())
    }

    /// Fills `buf`. Every byte that comes starts the deadline anew.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the peer ends first; else as [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// The bytes read until then are in `buf`, but how many is lost: not for a `select!` that is to
    /// go on with the same stream.
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        let mut buf = ReadBuf::new(buf);
        let guard = Abandon {
            connection: self,
            action: Action::Read,
        };
        while buf.remaining() > 0 {
            let before = buf.filled().len();
            poll_fn(|cx| Pin::new(&mut *guard.connection).poll_read(cx, &mut buf)).await?;
            if buf.filled().len() == before {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Writes some of `buf` and says how much.
    ///
    /// # Errors
    ///
    /// The stream's own, or an [`IoError`](crate::IoError).
    ///
    /// # Cancel safety
    ///
    /// A dropped write has moved no byte.
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let guard = Abandon {
            connection: self,
            action: Action::Write,
        };
        poll_fn(|cx| Pin::new(&mut *guard.connection).poll_write(cx, buf)).await
    }

    /// Writes all of `buf`. Every part the stream takes starts the deadline anew.
    ///
    /// # Errors
    ///
    /// `WriteZero` if the stream takes no more; else as [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// Some of `buf` may have gone out, and how much is lost: drop the connection with it.
    pub async fn write_all(&mut self, mut buf: &[u8]) -> io::Result<()> {
        let guard = Abandon {
            connection: self,
            action: Action::Write,
        };
        while !buf.is_empty() {
            let n = poll_fn(|cx| Pin::new(&mut *guard.connection).poll_write(cx, buf)).await?;
            match buf.get(n..) {
                Some(rest) if n > 0 => buf = rest,
                _ => return Err(io::ErrorKind::WriteZero.into()),
            }
        }
        Ok(())
    }

    /// Pushes on what the stream keeps back: nothing on a plain socket, a record under TLS.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// Flushing again goes on where this stopped.
    pub async fn flush(&mut self) -> io::Result<()> {
        let guard = Abandon {
            connection: self,
            action: Action::Settle,
        };
        poll_fn(|cx| Pin::new(&mut *guard.connection).poll_flush(cx)).await
    }

    /// Ends our half of the stream; the peer's can still be read.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// Shutting down again goes on where this stopped.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        let guard = Abandon {
            connection: self,
            action: Action::Settle,
        };
        poll_fn(|cx| Pin::new(&mut *guard.connection).poll_shutdown(cx)).await
    }

    /// The connection with a read and a write buffer of the manager's `buffer_size` each, for
    /// protocols of many small pieces. Its methods are those of tokio's traits, with what is said
    /// above of operations that are given up.
    #[must_use]
    pub fn into_buffered(self) -> BufStream<Self> {
        let size = self.session.shared.config.buffer_size;
        BufStream::with_capacity(size, size, self)
    }
}

/// Ends an operation with the future that asked for it.
struct Abandon<'a, S> {
    connection: &'a mut AsyncConnection<S>,
    action: Action,
}

impl<S> Drop for Abandon<'_, S> {
    fn drop(&mut self) {
        self.connection.session.walk_away(self.action);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for AsyncConnection<S> {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, session } = self.get_mut();
        let before = buf.filled().len();
        session
            .transfer(Action::Read, cx, |cx| {
                Pin::new(stream)
                    .poll_read(cx, buf)
                    .map_ok(|()| buf.filled().len() - before)
            })
            .map_ok(|_| ())
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for AsyncConnection<S> {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, session } = self.get_mut();
        session.transfer(Action::Write, cx, |cx| Pin::new(stream).poll_write(cx, buf))
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, session } = self.get_mut();
        session.transfer(Action::Write, cx, |cx| {
            Pin::new(stream).poll_write_vectored(cx, bufs)
        })
    }

    #[inline]
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, session } = self.get_mut();
        session.run(Action::Settle, cx, |cx| Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, session } = self.get_mut();
        session.run(Action::Settle, cx, |cx| Pin::new(stream).poll_shutdown(cx))
    }
}
