//! [`Runtime`]: a client, and where its work is done.

use std::fmt;
use std::io;
use std::sync::mpsc;
use std::thread;

use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::StartError;
use crate::{Accepted, BuildError, Export, OtlpClient, OtlpClientConfig, SendError};

pub(super) struct Runtime {
    client: OtlpClient,
    handle: Handle,
    /// Dropped, it ends the thread.
    _thread: Option<oneshot::Sender<()>>,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    pub(super) const fn on(client: OtlpClient, handle: Handle) -> Self {
        Self {
            client,
            handle,
            _thread: None,
        }
    }

    pub(super) fn start(config: OtlpClientConfig) -> Result<Self, StartError> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (thread, ended) = oneshot::channel::<()>();
        let (built, client) = mpsc::sync_channel::<Result<OtlpClient, BuildError>>(1);
        thread::Builder::new()
            .name("evenkeel-otlp".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    // Whoever started this waits for it.
                    let _ = built.send(OtlpClient::new(config));
                    // Nobody sends: it ends when the sender is gone.
                    let _ = ended.await;
                });
            })?;
        let gone = || StartError::Thread(io::Error::other("it ended at once"));
        Ok(Self {
            client: client.recv().map_err(|_| gone())??,
            handle,
            _thread: Some(thread),
        })
    }

    pub(super) const fn client(&self) -> &OtlpClient {
        &self.client
    }

    /// Sends `export` on the client's runtime, from whatever thread or executor this is polled on.
    ///
    /// # Cancel safety
    /// Dropped, the request is given up.
    pub(super) async fn send(&self, export: Export) -> Result<Accepted, SendError> {
        let client = self.client.clone();
        let mut task = Task(self.handle.spawn(async move { client.send(export).await }));
        // It ends early only if the runtime does.
        (&mut task.0).await.unwrap_or(Err(SendError::ShutDown))
    }
}

/// A task that ends with the one who waits for it.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
