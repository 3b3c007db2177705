//! What can be wrong with a body.

use thiserror::Error;

/// Why a body is no protobuf message, or not one that can be walked. `at` is the offset of the first byte
/// of what is wrong, from the beginning of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// A field goes on beyond the end of the message it is in.
    #[error("byte {at}: the field goes beyond the end of its message")]
    Truncated {
        /// Where the field begins.
        at: usize,
    },
    /// A number of variable length is longer than any number can be.
    #[error("byte {at}: a number of more than 64 bits")]
    Overlong {
        /// Where the number begins.
        at: usize,
    },
    /// A field has a number or a wire type that does not exist.
    #[error("byte {at}: {tag:#x} is no tag of a field")]
    Tag {
        /// Where the tag begins.
        at: usize,
        /// The tag.
        tag: u64,
    },
    /// A group does not end, ends without having begun, or lies too deep in others.
    #[error("byte {at}: a group that does not end where it should, or is nested too deeply")]
    Group {
        /// Where the group or its stray end begins.
        at: usize,
    },
    /// The body is longer than protobuf allows.
    #[error("a body of {len} bytes; a protobuf message has 2 GiB at most")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// It is in so many small pieces that to note where each goes takes more memory than it may.
    #[error("to split it takes more than {room} bytes of memory")]
    NoRoom {
        /// What it may take, in bytes.
        room: usize,
    },
}
