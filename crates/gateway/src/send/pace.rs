//! When the requests of a steady rate go out.

use tokio::sync::mpsc;
use tokio::time::Instant;

/// Moments that may come before the sender has taken the first of them; a sender further behind goes on as fast as it
/// can, and loses none.
const AHEAD: usize = 1024;

/// Moments, each told when it has come.
///
/// A thread sleeps until them. A runtime's timer counts in milliseconds and is up to two of them late, which would be in
/// every latency that is counted from when a request was due.
#[derive(Debug)]
pub(super) struct Pace(mpsc::Receiver<Instant>);

impl Pace {
    /// Begins to wait for `moments`, which come in order.
    ///
    /// # Errors
    ///
    /// If there can be no thread for it.
    #[expect(clippy::disallowed_methods, reason = "the thread is its own and no runtime's")]
    pub(super) fn start(moments: impl Iterator<Item = Instant> + Send + 'static) -> std::io::Result<Self> {
        let (tell, told) = mpsc::channel(AHEAD);
        std::thread::Builder::new()
            .name("pace".to_owned())
            .spawn(move || {
                for due in moments {
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    if tell.blocking_send(due).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self(told))
    }

    /// The next moment, when it has come; `None` after the last. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Instant> {
        self.0.recv().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn no_moment_comes_early_and_one_that_has_passed_is_not_left_out() {
        let start = Instant::now();
        let moments: Vec<_> = (0..20).map(|n| start + Duration::from_millis(n)).collect();
        let mut pace = Pace::start(moments.clone().into_iter()).unwrap();
        let mut told = Vec::new();
        while let Some(due) = pace.next().await {
            assert!(Instant::now() >= due);
            told.push(due);
        }
        assert_eq!(told, moments);
    }
}
