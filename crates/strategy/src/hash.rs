//! Hashing that is the same in every process.

use twox_hash::XxHash64;

use crate::BackendId;

/// The routing hash of a key, for [`PickContext::with_hash`](crate::PickContext::with_hash).
///
/// XXH64 with seed 0: the same on every machine and in every release, unlike the standard library's
/// hasher, so that all clients route a key alike.
///
/// ```
/// use evenkeel_strategy::hash_key;
///
/// assert_eq!(hash_key(b""), 0xef46_db37_51d8_e999); // the value of the XXH64 specification
/// ```
#[must_use]
#[inline]
pub fn hash_key(key: &[u8]) -> u64 {
    XxHash64::oneshot(0, key)
}

/// The hash that a backend is placed by.
pub(crate) fn hash_id(id: &BackendId) -> u64 {
    hash_key(id.as_str().as_bytes())
}
