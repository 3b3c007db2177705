//! [`Transport`]: what an [`AsyncConnection`](crate::AsyncConnection) of the manager's own talks over.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(feature = "tls")]
use tokio::io::AsyncBufRead;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
#[cfg(feature = "tls")]
use tokio_rustls::client::TlsStream;

use crate::Liveness;
use crate::socket::Socket;

/// TCP, a Unix socket, or TLS over either.
#[derive(Debug)]
pub struct Transport(Inner);

#[derive(Debug)]
enum Inner {
    Plain(Socket),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<Socket>>),
}

impl Transport {
    pub(crate) const fn plain(socket: Socket) -> Self {
        Self(Inner::Plain(socket))
    }

    #[cfg(feature = "tls")]
    pub(crate) fn tls(stream: TlsStream<Socket>) -> Self {
        Self(Inner::Tls(Box::new(stream)))
    }

    /// Whether the bytes are encrypted.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        match &self.0 {
            Inner::Plain(_) => false,
            #[cfg(feature = "tls")]
            Inner::Tls(_) => true,
        }
    }

    /// The protocol agreed on by ALPN, if any was: `b"h2"`, say.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        match &self.0 {
            Inner::Plain(_) => None,
            #[cfg(feature = "tls")]
            Inner::Tls(stream) => stream.get_ref().1.alpn_protocol(),
        }
    }

    pub(crate) fn liveness(&mut self) -> Liveness {
        match &mut self.0 {
            Inner::Plain(socket) => socket.liveness(),
            // rustls is asked first, since what it has taken in the socket no longer shows; and asking
            // lets it take in what it says to itself between requests (session tickets, key updates).
            #[cfg(feature = "tls")]
            Inner::Tls(stream) => {
                let cx = &mut Context::from_waker(std::task::Waker::noop());
                match Pin::new(stream.as_mut()).poll_fill_buf(cx) {
                    Poll::Ready(Ok([])) => Liveness::Closed,
                    Poll::Ready(Ok(_)) => Liveness::DataWaiting,
                    Poll::Ready(Err(_)) => Liveness::Broken,
                    // Nothing for the caller. Bytes of half a record may lie in the socket still.
                    Poll::Pending => stream.get_ref().0.liveness(),
                }
            }
        }
    }
}

/// Calls the same method on whichever stream it is.
macro_rules! on_inner {
    ($transport:expr, $stream:ident => $call:expr) => {
        match &mut $transport.get_mut().0 {
            Inner::Plain(socket) => {
                let $stream = Pin::new(socket);
                $call
            }
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => {
                let $stream = Pin::new(tls.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Transport {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_inner!(self, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Transport {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        on_inner!(self, stream => stream.poll_write(cx, buf))
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_inner!(self, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Inner::Plain(socket) => socket.is_write_vectored(),
            #[cfg(feature = "tls")]
            Inner::Tls(stream) => stream.is_write_vectored(),
        }
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_inner!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_inner!(self, stream => stream.poll_shutdown(cx))
    }
}
