//! Any bytes at all: the walker and the split, with prost as the oracle.

#![no_main]

#[path = "../../tests/it/decoded.rs"]
mod decoded;
#[path = "../../tests/it/walk.rs"]
mod walk;

libfuzzer_sys::fuzz_target!(|body: &[u8]| walk::check(body));
