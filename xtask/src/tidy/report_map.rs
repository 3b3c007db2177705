//! `docs/report-map.md` leads from every item of the report to code and to the benchmark that shows it.
//!
//! The page holds any number of tables with exactly this header; other tables and prose are free:
//!
//! ```text
//! | Report item | Code | Shown by |
//! |---|---|---|
//! | `AsyncIoManager` | `crates/io-core/src/manager.rs#AsyncIoManager` | `io` |
//! | `ConnectionPool` | not built yet (issue 3) | — |
//! ```
//!
//! - **Report item**: anything but nothing.
//! - **Code**: one or more paths in backticks, from the root, each a file or a folder; `path#Symbol`
//!   asks for the word in that file (in a folder: in any `.rs` below), `Type::method` for each of
//!   its words. Or the words `not built yet`. Both may stand together: what is there, what is not.
//! - **Shown by**: `—`, or `not built yet`, or one or more names in backticks, each a scenario
//!   (`io` is `benches/scenarios/io.toml`), a criterion benchmark (the name of a bench target), or the
//!   path of a scenario, of a benchmark, or of a `.rs` file with tests in it; `name#word` asks for the
//!   word (say, the name of the test) in that file.

use super::stubs::has_word;
use super::tree::Tree;
use super::{Finding, markdown, table};

/// The page.
const PAGE: &str = "docs/report-map.md";

/// The header of its tables.
const HEADER: [&str; 3] = ["Report item", "Code", "Shown by"];

/// The honest answer.
const NOT_BUILT: &str = "not built yet";

/// The rule.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let columns = format!("| {} |", HEADER.join(" | "));
    let Some(page) = tree.text(PAGE) else {
        return vec![Finding::new(
            PAGE,
            1,
            "there is no such page",
            format!("write it, with tables {columns}"),
        )];
    };
    let rows = table::rows(page, &HEADER);
    if rows.is_empty() {
        return vec![Finding::new(
            PAGE,
            1,
            "no table of the report's items",
            format!("add tables with the header {columns}"),
        )];
    }
    let mut found = Vec::new();
    for row in rows {
        let mut add = |(what, mend): (String, String)| found.push(Finding::new(PAGE, row.line, what, mend));
        let [item, code, shown] = row.cells.as_slice() else {
            add((
                format!("a row of {} cells", row.cells.len()),
                format!("make it three: {columns}"),
            ));
            continue;
        };
        if item.is_empty() {
            add((
                "a row without an item".to_owned(),
                "name the item of the report".to_owned(),
            ));
        }
        check_code(tree, code).into_iter().for_each(&mut add);
        check_shown(tree, shown).into_iter().for_each(&mut add);
    }
    found
}

/// What is wrong, and how to mend it.
type Wrong = (String, String);

/// The middle column.
fn check_code(tree: &Tree, cell: &str) -> Vec<Wrong> {
    let names = markdown::ticked(cell);
    if names.is_empty() && !cell.contains(NOT_BUILT) {
        let mend = format!("give `path` or `path#Symbol` in backticks, or say {NOT_BUILT}");
        return vec![("the code column names nothing".to_owned(), mend)];
    }
    let wrong = |name: &str| {
        let (path, symbol) = split(name);
        if tree.exists(path) {
            lacks(tree, path, symbol)
        } else {
            Some((
                format!("there is no `{path}`"),
                format!("name a file or folder from the root, or say {NOT_BUILT}"),
            ))
        }
    };
    names.into_iter().filter_map(wrong).collect()
}

/// The last column.
fn check_shown(tree: &Tree, cell: &str) -> Vec<Wrong> {
    let names = markdown::ticked(cell);
    if names.is_empty() {
        let honest = matches!(cell, "—" | "–" | "-") || cell.contains(NOT_BUILT);
        let mend = "name a scenario or benchmark in backticks, or put —".to_owned();
        return if honest {
            Vec::new()
        } else {
            vec![("the benchmark column names nothing".to_owned(), mend)]
        };
    }
    let wrong = |name: &str| {
        let (name, word) = split(name);
        match shows(tree, name) {
            Some(path) => lacks(tree, &path, word),
            None => {
                let scenarios: Vec<&str> = tree.scenarios().collect();
                let mut benches: Vec<&str> = tree
                    .targets("bench", None)
                    .map(|target| target.name.as_str())
                    .collect();
                benches.sort_unstable();
                let known = format!(
                    "scenarios: {}; benchmarks: {}",
                    listed(&scenarios),
                    listed(&benches)
                );
                Some((format!("no scenario, benchmark or test `{name}`"), known))
            }
        }
    };
    names.into_iter().filter_map(wrong).collect()
}

/// Names in a row, or the word for none.
fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// The file behind a name of the last column.
fn shows(tree: &Tree, name: &str) -> Option<String> {
    let scenario = format!("benches/scenarios/{name}.toml");
    if tree.exists(&scenario) {
        return Some(scenario);
    }
    if let Some(target) = tree.targets("bench", None).find(|target| target.name == name) {
        // From the machine's root; the tree's paths are from ours.
        let file = target.src_path.to_string_lossy().replace('\\', "/");
        return tree
            .paths()
            .filter(|path| file.ends_with(*path))
            .max_by_key(|path| path.len())
            .map(str::to_owned);
    }
    let text = tree.text(name)?;
    // `#[test]`, `#[tokio::test]`, `#[tokio::test(..)]`.
    let tests = name.ends_with(".rs") && (text.contains("test]") || text.contains("::test("));
    (tests || name.starts_with("benches/")).then(|| name.to_owned())
}

/// `path#Symbol` in its parts.
fn split(name: &str) -> (&str, Option<&str>) {
    name.split_once('#')
        .map_or((name, None), |(path, symbol)| (path, Some(symbol)))
}

/// Complains when a symbol does not occur in a file, or anywhere below a folder.
fn lacks(tree: &Tree, path: &str, symbol: Option<&str>) -> Option<Wrong> {
    let symbol = symbol?;
    let folder = format!("{}/", path.trim_end_matches('/'));
    let has = |text: &str| symbol.split("::").all(|part| has_word(text, part));
    let found = match tree.text(path) {
        Some(text) => has(text),
        None => tree
            .texts(".rs")
            .any(|(below, text)| below.starts_with(&folder) && has(text)),
    };
    (!found).then(|| {
        (
            format!("`{symbol}` does not occur in `{path}`"),
            "name what is there now".to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(rows: &str) -> Tree {
        Tree::default()
            .with_member("benches", "evenkeel-benches", &[])
            .with_target("bench", "record", "benches/benches/record.rs")
            .file("benches/benches/record.rs", "fn histogram() {}")
            .file("benches/scenarios/io.toml", "name = \"connect_p50\"")
            .file(
                "crates/stats/src/clock.rs",
                "impl Clock for Real { fn now(&self) {} }",
            )
            .file(
                "crates/stats/src/trend.rs",
                "#[tokio::test(start_paused = true)]\nasync fn slope() {}",
            )
            .file("crates/stats/tests/merge.rs", "#[test]\nfn merge() {}")
            .file(
                PAGE,
                &format!("# Map\n\n| Report item | Code | Shown by |\n|---|---|---|\n{rows}\n"),
            )
    }

    #[test]
    fn rows_that_lead_somewhere_pass() {
        tree(
            "| Clock | `crates/stats/src/clock.rs#Clock`, `crates/stats/` | `io`, `record` |\n\
             | Now | `crates/stats#Clock::now` (rest not built yet) | `record#histogram`, `io#connect_p50` |\n\
             | Pool | not built yet (issue 3) | — |\n\
             | Merge | `crates/stats` | `crates/stats/tests/merge.rs`, `benches/scenarios/io.toml` |\n\
             | Beside | `crates/stats` | `crates/stats/src/trend.rs#slope`, `crates/stats/src/trend.rs` |\n\
             | Health | not built yet | not built yet |",
        )
        .passes(check);
    }

    #[test]
    fn rows_that_lead_nowhere_are_found() {
        for (row, says) in [
            ("| a | `crates/stat` | — |", "there is no `crates/stat`"),
            (
                "| a | `crates/stats/src/clock.rs#Clok` | — |",
                "`Clok` does not occur in `crates/stats/src/clock.rs`",
            ),
            (
                "| a | `crates/stats#Clock::later` | — |",
                "`Clock::later` does not occur",
            ),
            ("| a | somewhere | — |", "the code column names nothing"),
            ("| a | not built yet | |", "the benchmark column names nothing"),
            (
                "| a | not built yet | `oi` |",
                "no scenario, benchmark or test `oi`; scenarios: io; benchmarks: record",
            ),
            (
                "| a | not built yet | `io#connect_p99` |",
                "`connect_p99` does not occur",
            ),
            (
                "| a | not built yet | `crates/stats/src/clock.rs` |",
                "no scenario, benchmark or test",
            ),
            (
                "| a | not built yet | `crates/stats/src/trend.rs#change` |",
                "`change` does not occur",
            ),
            ("| | not built yet | — |", "a row without an item"),
            ("| a | not built yet |", "a row of 2 cells"),
        ] {
            tree(row).finds(check, &["docs/report-map.md:5:", says]);
        }
    }

    #[test]
    fn a_map_that_is_not_there_or_empty_is_found() {
        Tree::default().finds(check, &["docs/report-map.md:1: there is no such page"]);
        Tree::default()
            .file(PAGE, "| Item | Code |\n|--|--|\n| a | b |\n")
            .finds(check, &["no table of the report's items"]);
    }
}
