//! Scripted backends and faulty links for tests.
