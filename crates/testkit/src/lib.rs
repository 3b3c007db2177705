//! Servers that misbehave on purpose, for the tests of the other crates.
//!
//! Each listens on a free port of 127.0.0.1 and ends when it is dropped; a `Link` has no port.
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
//! It is no mock of a protocol. What is here goes through the kernel, but for [`Link`], which simulates a network
//! for what the kernel can not be told to do: partitions, in virtual time.

mod backend;
mod host;
mod link;
mod nobody;

pub use backend::{Backend, Behaviour};
pub use host::{Host, Mood};
pub use link::Link;
pub use nobody::{BlackHole, Refusing};
