//! One request and its answer on an open connection, the same for every contender.

use std::future::Future;
use std::io;
use std::time::Duration;

use evenkeel_io_core::AsyncConnection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::Error;

/// How much is written and read at a time.
pub const MESSAGE: usize = 1024;

/// The time-out of contenders that have one written by hand. Long enough never to be met.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// A connection on which a message can be sent and its echo received.
pub trait Exchange: Send + 'static {
    /// Writes all of `message`.
    fn send(&mut self, message: &[u8]) -> impl Future<Output = io::Result<()>> + Send;

    /// Fills all of `answer`.
    fn receive(&mut self, answer: &mut [u8]) -> impl Future<Output = io::Result<()>> + Send;
}

/// A stream as it is.
#[derive(Debug)]
pub struct Raw<S>(pub S);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Exchange for Raw<S> {
    async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.0.write_all(message).await
    }

    async fn receive(&mut self, answer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact(answer).await.map(drop)
    }
}

/// A stream with [`tokio::time::timeout`] around each operation, as people write it by hand.
#[derive(Debug)]
pub struct Timed<S>(pub S);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Exchange for Timed<S> {
    async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        timeout(TIMEOUT, self.0.write_all(message)).await?
    }

    async fn receive(&mut self, answer: &mut [u8]) -> io::Result<()> {
        timeout(TIMEOUT, self.0.read_exact(answer)).await?.map(drop)
    }
}

/// Ours, whose own methods have the deadlines of its manager.
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Exchange for AsyncConnection<S> {
    async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.write_all(message).await
    }

    async fn receive(&mut self, answer: &mut [u8]) -> io::Result<()> {
        self.read_exact(answer).await
    }
}

/// The two buffers of an exchange. What is sent differs from exchange to exchange, so that an answer that was
/// never read is noticed.
#[derive(Debug)]
pub struct Buffers {
    message: Box<[u8]>,
    answer: Box<[u8]>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            message: vec![0; MESSAGE].into(),
            answer: vec![0; MESSAGE].into(),
        }
    }
}

impl Buffers {
    /// Marks the next message and forgets the last answer. Touches 16 bytes, whatever the message's size.
    pub fn prepare(&mut self, tag: u64) -> (&[u8], &mut [u8]) {
        let tag = tag.to_le_bytes();
        for buffer in [&mut self.message, &mut self.answer] {
            buffer[..8].copy_from_slice(&tag);
            buffer[MESSAGE - 8..].copy_from_slice(&tag);
        }
        // Not the answer that is expected.
        self.answer[0] ^= 0xff;
        self.answer[MESSAGE - 1] ^= 0xff;
        (&self.message, &mut self.answer)
    }

    /// Whether the answer is the message.
    ///
    /// # Errors
    /// When it is not.
    pub fn verify(&self) -> Result<(), Error> {
        if self.message == self.answer {
            return Ok(());
        }
        Err(Error::Contender("the echo is not what was sent".to_owned()))
    }
}

/// One checked exchange.
///
/// # Errors
/// When the connection fails, or the echo is not what was sent.
pub async fn exchange<E: Exchange>(conn: &mut E, buffers: &mut Buffers, tag: u64) -> Result<(), Error> {
    let (message, answer) = buffers.prepare(tag);
    conn.send(message)
        .await
        .map_err(|e| Error::contender("write", e))?;
    conn.receive(answer)
        .await
        .map_err(|e| Error::contender("read", e))?;
    buffers.verify()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_echo_passes_and_anything_else_does_not() {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (mut ours, mut theirs) = (Raw(ours), Raw(theirs));
        let mut buffers = Buffers::default();

        let mut echo = vec![0; MESSAGE];
        let (sent, echoed) = tokio::join!(exchange(&mut ours, &mut buffers, 7), async {
            theirs.receive(&mut echo).await?;
            theirs.send(&echo).await
        });
        sent.unwrap();
        echoed.unwrap();

        theirs.send(&[0; MESSAGE]).await.unwrap();
        let wrong = exchange(&mut ours, &mut buffers, 8).await.unwrap_err();
        assert!(wrong.to_string().contains("echo"), "{wrong}");
    }

    #[test]
    fn an_answer_that_was_never_read_does_not_pass() {
        let mut buffers = Buffers::default();
        for tag in [0, 1, u64::MAX] {
            buffers.prepare(tag);
            assert!(buffers.verify().is_err());
        }
    }
}
