//! [`Snapshot`]: members, readiness and picker as they were at one moment, swapped as one.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use evenkeel_stats::Timestamp;
use evenkeel_strategy::{BackendId, LoadCell, PickContext, Picker};

use crate::PickError;
use crate::backend::Backend;
use crate::vitals::{Admission, Trial};

/// Immutable; what changes with every request lives in the backends.
pub(crate) struct Snapshot<B> {
    /// Those that may be picked, in the picker's order.
    pub(crate) backends: Arc<[Arc<Backend<B>>]>,
    pub(crate) picker: Arc<dyn Picker>,
    /// Where a session starts, if sessions are kept.
    pub(crate) start: Option<Arc<dyn Picker>>,
    /// So many are sick that health is ignored.
    pub(crate) panic: bool,
    pub(crate) index: Arc<Index<B>>,
}

/// Every member, also those that may not be picked.
pub(crate) struct Index<B> {
    pub(crate) by_id: HashMap<BackendId, Arc<Backend<B>>>,
    /// Where in the snapshot the members of these serials are.
    pub(crate) by_serial: HashMap<u64, usize>,
}

/// How many backends that turn a request away are passed over before it is sent to the first of them.
const PASSED_OVER: usize = 4;

type Chosen<'a, B> = (&'a Arc<Backend<B>>, Option<Trial>);

impl<B> Snapshot<B> {
    /// Chooses by `picker`, and asks the chosen one's breaker.
    #[inline]
    pub(crate) fn choose(
        &self,
        picker: &Arc<dyn Picker>,
        context: &PickContext<'_>,
        now: Timestamp,
    ) -> Result<Chosen<'_, B>, PickError> {
        let index = picker.pick(context).map_err(|error| self.explain(error))?;
        let Some(backend) = self.backends.get(index) else {
            return Err(self.broken(index));
        };
        match backend.vitals.admit(now) {
            Admission::Open => Ok((backend, None)),
            Admission::Trial(trial) => Ok((backend, Some(trial))),
            Admission::Denied => Ok(self.choose_again(picker, context, now, backend)),
        }
    }

    /// The breaker of `first` has just opened, or is on trial: the next best, and failing that `first`
    /// all the same, because somebody must be asked.
    #[cold]
    fn choose_again<'a>(
        &'a self,
        picker: &Arc<dyn Picker>,
        context: &PickContext<'_>,
        now: Timestamp,
        first: &'a Arc<Backend<B>>,
    ) -> Chosen<'a, B> {
        if self.panic {
            return (first, None);
        }
        let mut denied: [&LoadCell; PASSED_OVER] = [first.vitals.cell(); PASSED_OVER];
        for count in 1..=PASSED_OVER {
            let Some(known) = denied.get(..count) else { break };
            let again = context.excluding(known).strict();
            let again = again.with_random(context.derived(count as u64));
            let next = picker
                .pick(&again)
                .ok()
                .and_then(|index| self.backends.get(index));
            let Some(next) = next else { break };
            match next.vitals.admit(now) {
                Admission::Open => return (next, None),
                Admission::Trial(trial) => return (next, Some(trial)),
                Admission::Denied => {}
            }
            if let Some(slot) = denied.get_mut(count) {
                *slot = next.vitals.cell();
            }
        }
        (first, None)
    }

    #[cold]
    fn explain(&self, error: evenkeel_strategy::PickError) -> PickError {
        match error {
            evenkeel_strategy::PickError::Shed => PickError::Shed,
            _ if !self.backends.is_empty() => self.broken(self.backends.len()),
            _ => match self.index.by_id.len() {
                0 => PickError::NoBackends,
                members => PickError::NoneEnabled { members },
            },
        }
    }

    #[cold]
    fn broken(&self, index: usize) -> PickError {
        PickError::Strategy {
            index,
            members: self.backends.len(),
        }
    }
}

impl<B> fmt::Debug for Snapshot<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("backends", &self.backends)
            .field("picker", &self.picker)
            .field("panic", &self.panic)
            .finish_non_exhaustive()
    }
}
