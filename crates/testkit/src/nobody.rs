//! Addresses at which nobody accepts.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;

/// An address that refuses every connect: the port is bound, so that nobody else gets it, and not
/// listened on.
#[derive(Debug)]
pub struct Refusing {
    addr: SocketAddr,
    _socket: Socket,
}

impl Refusing {
    /// Binds a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn start() -> io::Result<Self> {
        let (socket, addr) = bound()?;
        Ok(Self {
            addr,
            _socket: socket,
        })
    }

    /// The address.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// An address at which connects get no answer at all: a listener whose queue is full, so that the
/// kernel drops every further SYN (Linux).
#[derive(Debug)]
pub struct BlackHole {
    addr: SocketAddr,
    _listener: Socket,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    /// Listens on a free port of 127.0.0.1 and fills the queue.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn start() -> io::Result<Self> {
        let (listener, addr) = bound()?;
        listener.listen(0)?;
        // A queue for none still takes one.
        let queued = vec![TcpStream::connect(addr).await?];
        Ok(Self {
            addr,
            _listener: listener,
            _queued: queued,
        })
    }

    /// The address.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// A socket that keeps a free port. It does not listen, so a listener may have the same address beside it.
pub(crate) fn bound() -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).into())?;
    let addr = socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("an IPv4 socket without an IPv4 address"))?;
    Ok((socket, addr))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_black_hole_does_not_answer() {
        let hole = BlackHole::start().await.unwrap();
        let connect = TcpStream::connect(hole.addr());
        assert!(
            tokio::time::timeout(Duration::from_millis(50), connect)
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn a_refusing_address_refuses() {
        let nobody = Refusing::start().unwrap();
        let error = TcpStream::connect(nobody.addr()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
