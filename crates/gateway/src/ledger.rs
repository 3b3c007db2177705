//! Which spans were sent and which arrived: what `send` and `sink` agree on.
//!
//! Each span that `send` makes says in its ids who sent it and its number among that sender's. So a sink
//! knows it again whatever way it took, in whatever batch, and keeps one bit for it.

mod id_set;
mod span_mark;

pub(crate) use id_set::{IdSet, Run};
pub(crate) use span_mark::{SenderId, SpanMark};
