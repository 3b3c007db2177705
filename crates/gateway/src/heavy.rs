//! Work that keeps a processor busy for long.

use tokio::task::spawn_blocking;

/// Up to so many bytes, work is done at once: it takes less than a millisecond, and handing it to another thread
/// and back would double that.
const AT_ONCE: usize = 64 << 10;

/// Runs `work` over so many bytes, beside the runtime's threads if they are many: one large request must not
/// hold up all others. How much can be under way so is bounded by what the gateway may hold in memory.
///
/// # Cancel safety
/// Dropped, the work is done and its result thrown away.
pub(crate) async fn run<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes <= AT_ONCE {
        return work();
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "pure computation, bounded by limits.memory"
    )]
    let done = spawn_blocking(work).await;
    match done {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this future with it.
            Err(_) => std::future::pending().await,
        },
    }
}
