//! The control side: building pickers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_stats::Timestamp;

use crate::{BuildError, Member, Picker};

/// A way of choosing.
///
/// A strategy is a configuration with behaviour: it builds a [`Picker`] off the hot path, at each
/// change of membership, weight or readiness. It keeps no state of its own that a request changes:
/// that lives in the members' load cells, or in the picker, and reaches the next picker through
/// [`BuildContext::previous`].
pub trait Strategy: Send + Sync + fmt::Debug {
    /// A picker over the members of `context`. No members is no error here: the picker says so.
    ///
    /// # Errors
    /// When the members make no sense to this strategy, all weights zero above all. Whoever asked
    /// keeps the picker it has.
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError>;

    /// How often to build anew although nothing has changed, for strategies that follow what they
    /// measure. `None`, the default, is never.
    fn rebuild_every(&self) -> Option<Duration> {
        None
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<S: Strategy + ?Sized> Strategy for $pointer {
            fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Picker>, BuildError> {
                (**self).build(context)
            }
            fn rebuild_every(&self) -> Option<Duration> {
                (**self).rebuild_every()
            }
        }
    )*};
}

// So that wrappers hold a strategy of either kind: known when compiled or chosen at run time.
forward!(Arc<S>, Box<S>, &S);

/// What a picker is built from.
///
/// ```
/// use evenkeel_strategy::{BuildContext, Member, RoundRobin, Strategy};
///
/// let members = [Member::new("a"), Member::new("b")];
/// let first = RoundRobin.build(&BuildContext::new(&members).with_seed(7))?;
/// let more = [members[0].clone(), members[1].clone(), Member::new("c")];
/// let second = RoundRobin.build(&BuildContext::new(&more).with_previous(&first))?;
/// # Ok::<(), evenkeel_strategy::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BuildContext<'a> {
    members: &'a [Member],
    now: Timestamp,
    seed: u64,
    previous: Option<&'a dyn Picker>,
}

impl<'a> BuildContext<'a> {
    /// A first build at the clock's origin with seed 0.
    #[must_use]
    pub const fn new(members: &'a [Member]) -> Self {
        Self {
            members,
            now: Timestamp::ZERO,
            seed: 0,
            previous: None,
        }
    }

    /// At `now`. Needed by whatever reads readiness or rates when it builds.
    #[must_use]
    pub const fn with_now(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// With a random word, so that not every client starts at the same member.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// With the picker that the same strategy built before.
    #[must_use]
    pub fn with_previous(mut self, previous: &'a Arc<dyn Picker>) -> Self {
        self.previous = Some(&**previous);
        self
    }

    /// The same build over other members, for wrappers. `previous` is the inner picker that took
    /// their place before, if there was one.
    #[must_use]
    pub fn nested<'b>(
        &self,
        members: &'b [Member],
        previous: Option<&'b Arc<dyn Picker>>,
    ) -> BuildContext<'b> {
        BuildContext {
            members,
            now: self.now,
            seed: self.seed,
            previous: previous.map(|picker| &**picker),
        }
    }

    /// The members, in the order that picks will count them.
    #[must_use]
    pub const fn members(&self) -> &'a [Member] {
        self.members
    }

    /// The time of the build.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The random word of the build.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The previous picker, if it is a `P`.
    #[must_use]
    pub fn previous<P: Picker>(&self) -> Option<&'a P> {
        let previous: &'a dyn std::any::Any = self.previous?;
        previous.downcast_ref()
    }
}
