//! The parts of the binary `evenkeel`, in a library so that tests reach them; no library for others.

mod cli;
mod ledger;
mod runtime;
mod say;
mod send;
mod sink;

pub use cli::main;
