//! `cargo xtask tidy`: rules of the tree that no compiler checks, each in a file of its own.
//!
//! A rule looks at a [`Tree`] held in memory and hands back findings; it prints nothing and opens
//! nothing, so its tests are a few lines of made-up tree. The whole set runs as a test as well:
//! `cargo test --workspace` checks the tree it is run in.

mod arrows;
mod commands;
mod crate_docs;
mod file_size;
#[cfg(test)]
mod fixture;
mod heavy;
mod links;
mod lints;
mod manifest;
mod markdown;
mod report_map;
mod shell;
mod stubs;
mod table;
mod tree;

use std::fmt;
use std::process::ExitCode;

use crate::{say, workspace};
use tree::Tree;

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// The file, from the root.
    path: String,
    /// The line, from 1.
    line: usize,
    /// What is wrong.
    what: String,
    /// How to mend it.
    mend: String,
}

impl Finding {
    /// A finding at a place.
    fn new(path: impl Into<String>, line: usize, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            line,
            what: what.into(),
            mend: mend.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; {}", self.path, self.line, self.what, self.mend)
    }
}

/// A rule: what it finds in a tree.
type Rule = fn(&Tree) -> Vec<Finding>;

/// All of them.
const RULES: [Rule; 9] = [
    arrows::check,
    commands::check,
    crate_docs::check,
    file_size::check,
    heavy::check,
    links::check,
    lints::check,
    report_map::check,
    stubs::check,
];

/// Everything all rules find, in the order of the files.
fn findings(tree: &Tree) -> Vec<Finding> {
    let mut found: Vec<Finding> = RULES.iter().flat_map(|rule| rule(tree)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The command.
pub(crate) fn run() -> ExitCode {
    let tree = match Tree::read(&workspace::root()) {
        Ok(tree) => tree,
        Err(error) => {
            say::err(&format!("tidy: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let found = findings(&tree);
    for finding in &found {
        say::out(&finding.to_string());
    }
    if found.is_empty() {
        say::out(&format!(
            "tidy: {} rules, {} files, nothing to mend",
            RULES.len(),
            tree.paths().count()
        ));
        ExitCode::SUCCESS
    } else {
        say::err(&format!("tidy: {} to mend", found.len()));
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The gate itself: what `cargo xtask tidy` would print.
    #[test]
    fn the_tree_keeps_its_own_rules() {
        let tree = Tree::read(&workspace::root()).expect("the tree can be read");
        let found: Vec<String> = findings(&tree).iter().map(ToString::to_string).collect();
        assert!(
            found.is_empty(),
            "`cargo xtask tidy` finds:\n{}",
            found.join("\n")
        );
    }

    #[test]
    fn a_finding_can_be_clicked_on() {
        let finding = Finding::new("docs/a.md", 3, "no such file `b`", "write it");
        assert_eq!(finding.to_string(), "docs/a.md:3: no such file `b`; write it");
    }
}
