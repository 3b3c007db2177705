//! The runtime of the tools, and what ends them.

use std::io::{self, Read};
use std::num::NonZeroUsize;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// A runtime of so many threads, all of the machine's if not given. One thread is the caller's own.
pub(crate) fn with_threads(threads: Option<NonZeroUsize>) -> io::Result<Runtime> {
    let mut builder = match threads.map(NonZeroUsize::get) {
        Some(1) => Builder::new_current_thread(),
        Some(threads) => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
        None => Builder::new_multi_thread(),
    };
    builder.enable_all().build()
}

/// Waits for SIGINT or SIGTERM, or, if `or_stdin`, for the end of standard input.
pub(crate) async fn told_to_end(or_stdin: bool) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stdin_ended = if or_stdin { Some(end_of_stdin()?) } else { None };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        Ok(()) = async { match stdin_ended {
            Some(ended) => ended.await,
            None => std::future::pending().await,
        }} => {}
    }
    Ok(())
}

/// Told by a thread of its own: reading standard input can not be given up, and would keep a runtime from
/// ending.
fn end_of_stdin() -> io::Result<tokio::sync::oneshot::Receiver<()>> {
    let (tell, ended) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("end-of-stdin".to_owned())
        .spawn(move || {
            let mut byte = [0];
            while io::stdin().read(&mut byte).is_ok_and(|read| read > 0) {}
            // Nobody waits if the process is ending anyhow.
            let _ = tell.send(());
        })?;
    Ok(ended)
}
