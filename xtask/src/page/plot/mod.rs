//! Plots as inline SVG, without a script: every mark of data is an element of class `mark`.
//!
//! Plots are [`WIDTH`] units wide and drawn at the width of the page, so that on a phone the text keeps nearly
//! its size; rows have their name above them, not beside.

mod lines;
mod rows;

pub(super) use lines::{scaling, series};
pub(super) use rows::{bars, distribution};

/// The width of every plot in its own units.
const WIDTH: f64 = 420.0;

/// Room at the left and the right.
const MARGIN: f64 = 8.0;

/// The class of a contender's role.
fn role_class(role: crate::record::Role) -> &'static str {
    use crate::record::Role;
    match role {
        Role::Ours => "ours",
        Role::Peer => "peer",
        Role::Naive => "naive",
    }
}
