//! The servers that contenders talk to. Each runs in a process of its own.

#[cfg(feature = "peers")]
pub mod grpc;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::Error;

/// More than any scenario connects at once; the kernel lowers it to its own limit.
const BACKLOG: u32 = 4096;

/// Two workers, so that with as many for the contender neither side waits for the other more than it must.
const WORKERS: usize = 2;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ServerKind {
    /// Sends back what it receives.
    Echo,
    /// A gRPC backend that behaves as it is told to on its standard input.
    #[cfg(feature = "peers")]
    Grpc,
}

impl ServerKind {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            #[cfg(feature = "peers")]
            Self::Grpc => "grpc",
        }
    }
}

/// Where a server listens for contenders of this machine: any free port.
pub const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Serves until standard input ends, which it does when the parent process does. Prints its address first.
///
/// # Errors
/// When it cannot listen.
pub fn serve(kind: ServerKind, at: SocketAddr) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(Error::io("cannot start the server's runtime"))?;
    let listener = runtime.block_on(async { listen(at) })?;
    let addr = listener
        .local_addr()
        .map_err(Error::io("the server has no address"))?;
    crate::child::print_line(&addr.to_string())?;
    match kind {
        ServerKind::Echo => {
            runtime.spawn(echo(listener));
            let ended = io::copy(&mut io::stdin(), &mut io::sink());
            ended.map_err(Error::io("cannot wait for the parent process"))?;
        }
        #[cfg(feature = "peers")]
        ServerKind::Grpc => {
            let backend = grpc::Backend::new(addr);
            runtime.spawn(backend.clone().serve(listener));
            backend.obey(io::stdin().lock())?;
        }
    }
    runtime.shutdown_background();
    Ok(())
}

/// Listens. Must be called within a runtime.
///
/// # Errors
/// When the system refuses.
pub fn listen(at: SocketAddr) -> Result<TcpListener, Error> {
    let listener = || {
        let socket = match at {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A server that was killed is started again at its address.
        socket.set_reuseaddr(true)?;
        socket.bind(at)?;
        socket.listen(BACKLOG)
    };
    listener().map_err(Error::io("cannot listen there"))
}

/// Accepts for ever; each connection gets back what it sends.
pub async fn echo(listener: TcpListener) {
    loop {
        match listener.accept().await {
            // Its errors are the client's to report: it sees its connection end.
            Ok((stream, _)) => drop(tokio::spawn(echo_one(stream))),
            // Out of descriptors: some will be closed soon.
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

async fn echo_one(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // When the client has closed, answer with a reset: it leaves no TIME_WAIT on the client's port, and one run
    // after the other does not run out of ports.
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    let mut buffer = vec![0; 4 * crate::exchange::MESSAGE];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
    }
}
