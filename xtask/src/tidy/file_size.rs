//! No source file over 600 lines: think at 300, split well before.

use super::Finding;
use super::tree::Tree;

/// The most lines a source file may have.
const MOST: usize = 600;

/// The rule.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let long = tree
        .texts(".rs")
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > MOST);
    let finding = |(path, lines): (&str, usize)| {
        Finding::new(
            path,
            MOST + 1,
            format!("{lines} lines, {MOST} at most"),
            "split it by what it does",
        )
    };
    long.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_too_many_is_found() {
        Tree::default().file("a.rs", &"\n".repeat(MOST)).passes(check);
        Tree::default()
            .file("a.rs", &"\n".repeat(MOST + 1))
            .finds(check, &["a.rs:601: 601 lines, 600 at most"]);
        Tree::default().file("a.md", &"\n".repeat(MOST + 1)).passes(check);
    }
}
