//! The gateway's behaviour, each file a concern.

mod queue_kill;
