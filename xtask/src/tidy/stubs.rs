//! No stub is left behind: neither a macro that panics for "later" nor a note to oneself.

use super::Finding;
use super::tree::Tree;

/// What must not stand in a source file. Put together from halves, so that this file passes.
const MARKS: [&str; 5] = [
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("TO", "DO"),
];

/// The rule.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, text) in tree.texts(".rs") {
        for (index, line) in text.lines().enumerate() {
            for mark in MARKS.iter().filter(|mark| has_word(line, mark)) {
                let mend = "finish it, or say in plain words what is not there and open an issue";
                found.push(Finding::new(path, index + 1, format!("`{mark}`"), mend));
            }
        }
    }
    found
}

/// Whether `word` stands in `text` with nothing wordlike before and after it.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    let wordlike = |c: char| c.is_alphanumeric() || c == '_';
    !word.is_empty()
        && text.match_indices(word).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let after = text[at + word.len()..].chars().next();
            // A mark that ends in a sign (`name!`) is over whatever follows.
            let ends_in_sign = !word.ends_with(wordlike);
            !before.is_some_and(wordlike) && (ends_in_sign || !after.is_some_and(wordlike))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_is_found_where_it_stands() {
        for mark in MARKS {
            let text = format!("fn a() {{\n    {mark}(\"later\")\n}}\n");
            Tree::default()
                .file("a.rs", &text)
                .finds(check, &["a.rs:2:", mark]);
        }
    }

    #[test]
    fn longer_words_are_not_marks() {
        let text = format!(
            "fn mas{}() {{}} const A{}X: u8 = 0;",
            MARKS[0].trim_end_matches('!'),
            MARKS[3]
        );
        Tree::default().file("a.rs", &text).passes(check);
        Tree::default().file("a.md", MARKS[4]).passes(check);
    }
}
