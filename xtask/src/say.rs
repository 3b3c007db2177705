//! Printing that survives a closed pipe (`cargo xtask bench | head`), where `println!` would panic.

use std::io::Write as _;

/// A line on standard output: what the command was asked for.
pub(crate) fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    // Nobody is listening any more: there is nobody to tell, either.
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// A line on standard error: progress and complaints.
pub(crate) fn err(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
