//! [`TcpProbe`]: the check that every backend understands.

use std::io;

use evenkeel_io_core::{Connect, Target};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Probe;

/// Why a [`TcpProbe`] says no.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TcpProbeError<E> {
    /// No connection.
    #[error("connect: {0}")]
    Connect(#[source] E),
    /// The request could not be sent.
    #[error("write: {0}")]
    Write(#[source] io::Error),
    /// The answer did not come, or was cut short.
    #[error("read: {0}")]
    Read(#[source] io::Error),
    /// Something else answered.
    #[error("the answer is not the expected one")]
    Unexpected,
}

/// Opens a connection, sends some bytes and expects others; with none of either, a connection is enough.
///
/// The connection is a new one for each check and is closed after it: what is checked is whether one can
/// be had.
#[derive(Clone, Debug)]
pub struct TcpProbe<C> {
    connect: C,
    send: Vec<u8>,
    expect: Vec<u8>,
}

impl<C: Connect> TcpProbe<C> {
    /// A connection is enough.
    #[must_use]
    pub const fn new(connect: C) -> Self {
        Self {
            connect,
            send: Vec::new(),
            expect: Vec::new(),
        }
    }

    /// Sends `send` and wants an answer that begins with `expect`.
    #[must_use]
    pub fn expecting(mut self, send: impl Into<Vec<u8>>, expect: impl Into<Vec<u8>>) -> Self {
        self.send = send.into();
        self.expect = expect.into();
        self
    }
}

impl<C> Probe for TcpProbe<C>
where
    C: Connect + 'static,
    C::Connection: AsyncRead + AsyncWrite + Unpin,
{
    type Error = TcpProbeError<C::Error>;
    type Kept = ();

    async fn probe(&self, target: Target, (): &mut ()) -> Result<(), Self::Error> {
        let connected = self.connect.connect(target).await;
        let mut connection = connected.map_err(TcpProbeError::Connect)?;
        if !self.send.is_empty() {
            let sent = connection.write_all(&self.send).await;
            sent.map_err(TcpProbeError::Write)?;
            connection.flush().await.map_err(TcpProbeError::Write)?;
        }
        // No more than is expected, and no further than the first difference: a talkative peer takes no
        // memory, and one that speaks another protocol is not waited for.
        let mut answer = vec![0; self.expect.len()];
        let mut read = 0;
        while read < answer.len() {
            let got = connection.read(&mut answer[read..]).await;
            let got = got.map_err(TcpProbeError::Read)?;
            if got == 0 {
                return Err(TcpProbeError::Read(io::ErrorKind::UnexpectedEof.into()));
            }
            read += got;
            if answer[..read] != self.expect[..read] {
                return Err(TcpProbeError::Unexpected);
            }
        }
        Ok(())
    }
}
