//! Why the pool let a connection go.

use std::fmt;

/// Why a connection left the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum CloseReason {
    /// Nobody used it for `idle_timeout`.
    Idle,
    /// It outlived its lifetime.
    Expired,
    /// It came back when there were `max_idle_connections` idle, or more open than `max_connections`
    /// after a [`resize`](crate::ConnectionPool::resize).
    Surplus,
    /// Its holder marked it broken or panicked, or [`Recycle::reset`](crate::Recycle::reset) could not
    /// make it fit for the next: by default, because an operation was left half done.
    Broken,
    /// [`Recycle`](crate::Recycle) found it dead, at a look or at a check.
    Unhealthy,
    /// [`invalidate`](crate::ConnectionPool::invalidate) was called, or its address proved dead.
    Invalidated,
    /// Its address was taken out by [`set_addresses`](crate::ConnectionPool::set_addresses).
    Removed,
    /// Its holder took it out for good: [`PooledConnection::detach`](crate::PooledConnection::detach).
    Detached,
    /// The pool was closed or dropped.
    Shutdown,
}

impl CloseReason {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 9] = [
        Self::Idle,
        Self::Expired,
        Self::Surplus,
        Self::Broken,
        Self::Unhealthy,
        Self::Invalidated,
        Self::Removed,
        Self::Detached,
        Self::Shutdown,
    ];

    /// The reason as one lower-case word, for labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Expired => "expired",
            Self::Surplus => "surplus",
            Self::Broken => "broken",
            Self::Unhealthy => "unhealthy",
            Self::Invalidated => "invalidated",
            Self::Removed => "removed",
            Self::Detached => "detached",
            Self::Shutdown => "shutdown",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many connections were closed for each reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ClosedCounts {
    /// For [`CloseReason::Idle`].
    pub idle: u64,
    /// For [`CloseReason::Expired`].
    pub expired: u64,
    /// For [`CloseReason::Surplus`].
    pub surplus: u64,
    /// For [`CloseReason::Broken`].
    pub broken: u64,
    /// For [`CloseReason::Unhealthy`].
    pub unhealthy: u64,
    /// For [`CloseReason::Invalidated`].
    pub invalidated: u64,
    /// For [`CloseReason::Removed`].
    pub removed: u64,
    /// For [`CloseReason::Detached`].
    pub detached: u64,
    /// For [`CloseReason::Shutdown`].
    pub shutdown: u64,
}

impl ClosedCounts {
    /// The count for one reason.
    #[must_use]
    pub fn of(&self, reason: CloseReason) -> u64 {
        *self.clone().slot(reason)
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        CloseReason::ALL.iter().map(|&reason| self.of(reason)).sum()
    }

    pub(crate) fn slot(&mut self, reason: CloseReason) -> &mut u64 {
        match reason {
            CloseReason::Idle => &mut self.idle,
            CloseReason::Expired => &mut self.expired,
            CloseReason::Surplus => &mut self.surplus,
            CloseReason::Broken => &mut self.broken,
            CloseReason::Unhealthy => &mut self.unhealthy,
            CloseReason::Invalidated => &mut self.invalidated,
            CloseReason::Removed => &mut self.removed,
            CloseReason::Detached => &mut self.detached,
            CloseReason::Shutdown => &mut self.shutdown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_reasons_share_a_count_or_a_word() {
        let mut counts = ClosedCounts::default();
        for (n, reason) in CloseReason::ALL.into_iter().enumerate() {
            *counts.slot(reason) += 1 << n;
        }
        for (n, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(counts.of(reason), 1 << n, "{reason}");
        }
        assert_eq!(counts.total(), (1 << CloseReason::ALL.len()) - 1);
        let words: std::collections::BTreeSet<_> = CloseReason::ALL.map(CloseReason::as_str).into();
        assert_eq!(words.len(), CloseReason::ALL.len());
    }
}
