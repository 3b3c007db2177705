//! The parts of the binary `evenkeel`, in a library so that tests reach them; no library for others.

mod cli;
pub mod queue;

pub use cli::main;
