//! What the commands say to a person.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

/// A command that can not go on: why, on standard error.
pub(crate) fn failure(command: &str, error: &dyn Display) -> ExitCode {
    // With standard error gone there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "evenkeel {command}: {error}");
    ExitCode::FAILURE
}
