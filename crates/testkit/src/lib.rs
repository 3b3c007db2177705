//! Servers that misbehave on purpose, for the tests of the other crates.
//!
//! Each listens on a free port of 127.0.0.1 and ends when it is dropped.
//!
//! ```
//! use evenkeel_testkit::{Backend, Behaviour};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let backend = Backend::start(Behaviour::Echo).await?;
//! let mut stream = tokio::net::TcpStream::connect(backend.addr()).await?;
//! stream.write_all(b"ahoy").await?;
//! let mut answer = [0; 4];
//! stream.read_exact(&mut answer).await?;
//! assert_eq!((&answer, backend.accepted()), (b"ahoy", 1));
//! # Ok(())
//! # }
//! ```
//!
//! It is no mock of a protocol and does not simulate a network: what is here goes through the kernel.

mod backend;
mod host;
mod nobody;

pub use backend::{Backend, Behaviour};
pub use host::{Host, Mood};
pub use nobody::{BlackHole, Refusing};
