//! Routes, splits and counts OTLP requests as bytes.
//!
//! A gateway that decodes every span into objects and encodes them again spends most of its time on
//! that. What it needs to know is little: which trace or which service an item belongs to, and how many
//! items there are. Both stand in the protobuf at known places, so this crate walks the frame, reads
//! those places, and copies ranges of bytes.
//!
//! ```
//! use bytes::Bytes;
//! use evenkeel_otlp_wire::{RouteBy, Signal, count_items, split};
//!
//! # fn body() -> Bytes {
//! #     let span = |id: u8| [&[0x12, 18, 0x0a, 16][..], &[id; 16]].concat();
//! #     let scope = [&[0x12, 40][..], &span(1), &span(2)].concat();
//! #     [&[0x0a, 42][..], &scope].concat().into()
//! # }
//! let body: Bytes = body(); // an ExportTraceServiceRequest with two spans of two traces
//! assert_eq!(count_items(&body, Signal::Traces)?, 2);
//!
//! let collectors = 2;
//! let parts = split(&body, Signal::Traces, &RouteBy::TraceId, |trace_id| {
//!     let hash = trace_id.map_or(0, |id| u32::from(id[0])); // a real hash, in earnest
//!     hash % collectors
//! })?;
//! assert_eq!(parts.len(), 2);
//! assert!(parts.iter().all(|part| part.items == 1));
//! # Ok::<(), evenkeel_otlp_wire::WireError>(())
//! ```
//!
//! # What holds
//! - Nothing is lost: each item comes out once, byte for byte, with its resource and its scope.
//! - No order of fields is assumed (some encoders write them backwards), and fields that are not known,
//!   groups too, come out again.
//! - Of a field that may be there once, the last one counts, as the protobuf specification says.
//! - Malformed input is refused with the position of the first byte that is wrong, without a panic, and
//!   how deep it is nested does not matter to the stack.
//!
//! # What it does not do
//! It does not validate what it does not read: what is inside an item, beyond what it is routed by, is the
//! collector's to judge. It does not decompress, and reads no JSON. It does not choose destinations.
//!
//! # Words
//! - **item**: a span, a data point, a log record.
//! - **frame**: the messages around the items: request, resource, scope.
//! - **header**: the fields of these that are not themselves the next inner level: a scope's name, a
//!   resource's attributes.
//! - **destination**: a small number that the caller gives an item; **part**: the request that comes out
//!   for one.

mod count;
mod error;
mod ids;
mod reader;
mod route;
mod signal;
mod split;

pub use count::count_items;
pub use error::WireError;
pub use ids::{ItemIds, for_each_item};
pub use route::RouteBy;
pub use signal::Signal;
pub use split::{Part, SplitPlan, check_split, split};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
