//! How long something took, for a person; no figure is made with it.

/// Runs from when it was made.
#[derive(Debug)]
pub(crate) struct Stopwatch(std::time::Instant);

impl Default for Stopwatch {
    fn default() -> Self {
        #[expect(clippy::disallowed_methods, reason = "for whoever waits, not for a figure")]
        Self(std::time::Instant::now())
    }
}

impl Stopwatch {
    /// The time since then.
    pub(crate) fn seconds(&self) -> f64 {
        #[expect(clippy::disallowed_methods, reason = "for whoever waits, not for a figure")]
        self.0.elapsed().as_secs_f64()
    }
}
