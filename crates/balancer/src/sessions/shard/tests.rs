//! The list against a table that looks at everything.

use proptest::prelude::*;

use super::*;

const TIMEOUT: Duration = Duration::from_nanos(100);
const LIMIT: usize = 4;

/// Does the same by scanning.
#[derive(Default)]
struct Naive {
    /// Session, serial, last use; the last used at the end.
    sessions: Vec<(u64, u64, u64)>,
}

impl Naive {
    fn touch(&mut self, session: u64, now: u64) -> Option<u64> {
        let at = self.sessions.iter().position(|entry| entry.0 == session)?;
        let (_, serial, used) = self.sessions.remove(at);
        if now - used >= 100 {
            return None;
        }
        self.sessions.push((session, serial, now));
        Some(serial)
    }

    fn keep(&mut self, session: u64, serial: u64, now: u64) {
        self.sessions.retain(|entry| entry.0 != session);
        let over = self
            .sessions
            .iter()
            .take(2)
            .take_while(|entry| now - entry.2 >= 100);
        let over = over.count();
        self.sessions.drain(..over);
        if self.sessions.len() == LIMIT {
            self.sessions.remove(0);
        }
        self.sessions.push((session, serial, now));
    }
}

proptest! {
    #[test]
    fn sessions_go_in_the_order_of_their_last_use(
        steps in prop::collection::vec((any::<bool>(), 0_u64..8, 0_u64..3, 0_u64..60), 1..200),
    ) {
        let mut shard = Shard::new(LIMIT);
        let mut naive = Naive::default();
        let mut now = 0;
        for (keep, session, serial, gap) in steps {
            now += gap;
            let at = Timestamp::from_nanos(now);
            if keep {
                shard.keep(session, serial, at, TIMEOUT);
                naive.keep(session, serial, now);
            } else {
                prop_assert_eq!(shard.touch(session, at, TIMEOUT), naive.touch(session, now));
            }
            prop_assert_eq!(shard.len(), naive.sessions.len());
            prop_assert!(shard.len() <= LIMIT && shard.slots.len() <= LIMIT);
        }
    }
}

#[test]
fn a_session_that_is_used_outlives_one_that_is_not() {
    let mut shard = Shard::new(2);
    let at = Timestamp::from_nanos;
    shard.keep(1, 10, at(0), TIMEOUT);
    shard.keep(2, 20, at(1), TIMEOUT);
    assert_eq!(shard.touch(1, at(2), TIMEOUT), Some(10));
    shard.keep(3, 30, at(3), TIMEOUT);
    assert_eq!(
        shard.touch(2, at(4), TIMEOUT),
        None,
        "the least recently used goes"
    );
    assert_eq!(shard.touch(1, at(4), TIMEOUT), Some(10));
    assert_eq!(shard.evicted(), 1);
}

#[test]
fn use_refreshes_and_rest_expires() {
    let mut shard = Shard::new(2);
    let at = Timestamp::from_nanos;
    shard.keep(1, 10, at(0), TIMEOUT);
    for time in [60, 120, 180] {
        assert_eq!(shard.touch(1, at(time), TIMEOUT), Some(10));
    }
    assert_eq!(shard.touch(1, at(280), TIMEOUT), None);
    assert_eq!(shard.len(), 0);
}
