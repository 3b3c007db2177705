//! A socket shared with the registry, so that it can be shut down from outside its owner's hands,
//! and the options it is opened with.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::net::{TcpSocket, TcpStream};

use crate::{AsyncIoConfig, Liveness};

/// An open socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(Arc<TcpStream>),
    #[cfg(unix)]
    Unix(Arc<UnixStream>),
}

/// What the registry keeps of a socket: enough to end it, not enough to keep it open.
#[derive(Debug)]
pub(crate) enum SocketHandle {
    Tcp(Weak<TcpStream>),
    #[cfg(unix)]
    Unix(Weak<UnixStream>),
    /// A stream of the user's own: only its next operation can be refused.
    Foreign,
}

impl SocketHandle {
    /// Asked for when somebody wants to know it, since asking is a system call.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.upgrade()?.local_addr().ok(),
            #[cfg(unix)]
            Self::Unix(_) => None,
            Self::Foreign => None,
        }
    }

    /// Ends both directions at once: the peer sees the end, our own pending operations wake.
    pub(crate) fn shut_down(&self) {
        // An error means that the peer was faster.
        match self {
            Self::Tcp(stream) => {
                if let Some(stream) = stream.upgrade() {
                    let _ = SockRef::from(&*stream).shutdown(std::net::Shutdown::Both);
                }
            }
            #[cfg(unix)]
            Self::Unix(stream) => {
                if let Some(stream) = stream.upgrade() {
                    let _ = SockRef::from(&*stream).shutdown(std::net::Shutdown::Both);
                }
            }
            Self::Foreign => {}
        }
    }
}

/// Calls the same method on whichever stream it is.
macro_rules! on_stream {
    ($socket:expr, $stream:ident => $call:expr) => {
        match $socket {
            Socket::Tcp($stream) => $call,
            #[cfg(unix)]
            Socket::Unix($stream) => $call,
        }
    };
}

impl Socket {
    pub(crate) async fn connect_tcp(address: SocketAddr, config: &AsyncIoConfig) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        apply(&socket, config)?;
        if let Some(local) = config.bind_address {
            socket.bind(SocketAddr::new(local, 0))?;
        }
        Ok(Self::Tcp(Arc::new(socket.connect(address).await?)))
    }

    #[cfg(unix)]
    pub(crate) async fn connect_unix(path: &std::path::Path) -> io::Result<Self> {
        Ok(Self::Unix(Arc::new(UnixStream::connect(path).await?)))
    }

    pub(crate) fn handle(&self) -> SocketHandle {
        match self {
            Self::Tcp(stream) => SocketHandle::Tcp(Arc::downgrade(stream)),
            #[cfg(unix)]
            Self::Unix(stream) => SocketHandle::Unix(Arc::downgrade(stream)),
        }
    }

    /// Looks at the socket itself and not at what the reactor has heard of it so far, so that an end
    /// that has just arrived is seen.
    pub(crate) fn liveness(&self) -> Liveness {
        let mut byte = [MaybeUninit::<u8>::uninit()];
        let peeked = on_stream!(self, stream => SockRef::from(&**stream).peek(&mut byte));
        match peeked {
            Ok(0) => Liveness::Closed,
            Ok(_) => Liveness::DataWaiting,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Liveness::Quiet,
            Err(_) => Liveness::Broken,
        }
    }
}

/// Sets everything that has to be set before the SYN goes out.
fn apply(socket: &TcpSocket, config: &AsyncIoConfig) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(config.tcp_nodelay)?;
    if config.keep_alive {
        let keep_alive = TcpKeepalive::new()
            .with_time(config.keep_alive_idle)
            .with_interval(config.keep_alive_interval)
            .with_retries(config.keep_alive_count);
        socket.set_tcp_keepalive(&keep_alive)?;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(user_timeout) = config.user_timeout {
        socket.set_tcp_user_timeout(Some(user_timeout))?;
    }
    if let Some(size) = config.send_buffer_size {
        socket.set_send_buffer_size(size)?;
    }
    if let Some(size) = config.recv_buffer_size {
        socket.set_recv_buffer_size(size)?;
    }
    Ok(())
}

/// `TcpStream` and `UnixStream` poll through a mutable reference only; these do the same through a
/// shared one, with the two steps that tokio documents for it: wait for readiness, then try.
///
/// A transfer that fell short of its buffer has drained the socket, so readiness is cleared by a
/// `try_io` that reports `WouldBlock`: it saves the system call that would find that out.
macro_rules! poll_shared {
    ($stream:expr, $cx:expr, $ready:ident, $interest:expr, $room:expr, $attempt:expr) => {
        loop {
            ready!($stream.$ready($cx))?;
            let room = $room;
            match $attempt {
                Ok(n) => {
                    if 0 < n && n < room {
                        let _ = $stream.try_io($interest, || {
                            Err::<(), _>(io::Error::from(io::ErrorKind::WouldBlock))
                        });
                    }
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    };
}

impl Socket {
    #[inline]
    fn poll_read_some(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        on_stream!(self, stream => poll_shared!(
            stream, cx, poll_read_ready, Interest::READABLE, buf.remaining(), stream.try_read_buf(buf)
        ))
    }

    #[inline]
    fn poll_write_some(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        on_stream!(self, stream => poll_shared!(
            stream, cx, poll_write_ready, Interest::WRITABLE, buf.len(), stream.try_write(buf)
        ))
    }

    #[inline]
    fn poll_write_slices(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let room = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        on_stream!(self, stream => poll_shared!(
            stream, cx, poll_write_ready, Interest::WRITABLE, room, stream.try_write_vectored(bufs)
        ))
    }
}

impl AsyncRead for Socket {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_read_some(cx, buf).map_ok(|_| ())
    }
}

impl AsyncWrite for Socket {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_some(cx, buf)
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_slices(cx, bufs)
    }

    #[inline]
    fn is_write_vectored(&self) -> bool {
        true
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket keeps nothing back that a flush could push on.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result =
            on_stream!(&*self, stream => SockRef::from(&**stream).shutdown(std::net::Shutdown::Write));
        Poll::Ready(match result {
            // The peer was faster; there is nothing left to end.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn every_socket_option_of_the_config_reaches_the_kernel() {
        let config = AsyncIoConfig {
            keep_alive_idle: Duration::from_secs(41),
            keep_alive_interval: Duration::from_secs(7),
            keep_alive_count: 5,
            user_timeout: Some(Duration::from_millis(1234)),
            send_buffer_size: Some(65_536),
            recv_buffer_size: Some(32_768),
            ..AsyncIoConfig::default()
        };
        let socket = TcpSocket::new_v4().unwrap();
        apply(&socket, &config).unwrap();
        let socket = SockRef::from(&socket);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(41));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(7));
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), 5);
            assert_eq!(
                socket.tcp_user_timeout().unwrap(),
                Some(Duration::from_millis(1234))
            );
        }
        // The kernel doubles what it is asked for, to have room for its own notes.
        assert!(socket.send_buffer_size().unwrap() >= 65_536);
        assert!(socket.recv_buffer_size().unwrap() >= 32_768);

        let plain = AsyncIoConfig {
            keep_alive: false,
            tcp_nodelay: false,
            ..AsyncIoConfig::default()
        };
        let socket = TcpSocket::new_v4().unwrap();
        apply(&socket, &plain).unwrap();
        let socket = SockRef::from(&socket);
        assert!(!socket.tcp_nodelay().unwrap());
        assert!(!socket.keepalive().unwrap());
    }
}
