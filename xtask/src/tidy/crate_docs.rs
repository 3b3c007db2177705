//! Every crate under `crates/` can be taken on its own, so each explains itself.
//!
//! - `README.md` with more than a title;
//! - `//!` docs at the top of `src/lib.rs` with at least one code block that the compiler sees:
//!   no language, or `rust`, with `no_run` or `should_panic` if need be. `ignore`, `text`, `sh`,
//!   `compile_fail` and the like do not count. Docs may be the README itself, by `include_str!`.
//! - A crate with only a program (`src/main.rs`) needs the docs, not the example.

use super::tree::{Member, Tree};
use super::{Finding, markdown};

/// Words after a fence with which rustdoc still compiles the block.
const COMPILED: [&str; 6] = [
    "rust",
    "no_run",
    "should_panic",
    "standalone_crate",
    "edition2021",
    "edition2024",
];

/// The rule.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let crates = tree.members.iter().filter(|member| member.is_crate());
    crates
        .flat_map(|member| [readme(tree, member), docs(tree, member)])
        .flatten()
        .collect()
}

/// The page.
fn readme(tree: &Tree, member: &Member) -> Option<Finding> {
    let path = format!("{}/README.md", member.folder);
    let said = tree
        .text(&path)
        .map(|text| text.lines().filter(|line| !line.trim().is_empty()).count());
    let what = match said {
        None => "there is no README.md",
        Some(0 | 1) => "says nothing but its title",
        Some(_) => return None,
    };
    Some(Finding::new(
        path,
        1,
        what,
        "say what the crate is for, when to take it, and show it in use",
    ))
}

/// The docs of the crate.
fn docs(tree: &Tree, member: &Member) -> Option<Finding> {
    let library = format!("{}/src/lib.rs", member.folder);
    let program = format!("{}/src/main.rs", member.folder);
    let (path, is_library) = if tree.exists(&library) || !tree.exists(&program) {
        (library, true)
    } else {
        (program, false)
    };
    let text = tree.text(&path).unwrap_or_default();
    let mut docs: String = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("//!"))
        .map(|line| format!("{line}\n"))
        .collect();
    if text.contains("include_str!(\"../README.md\")") {
        docs.push_str(
            tree.text(&format!("{}/README.md", member.folder))
                .unwrap_or_default(),
        );
    }
    if docs.trim().is_empty() {
        return Some(Finding::new(
            path,
            1,
            "no `//!` docs",
            "say when to use the crate and why, with an example",
        ));
    }
    let example = markdown::lines(&docs)
        .iter()
        .any(|line| line.code.is_some_and(compiled) && !line.text.trim().is_empty());
    (is_library && !example).then(|| {
        Finding::new(
            path,
            1,
            "no example that is compiled in the `//!` docs",
            "add a ``` block of Rust",
        )
    })
}

/// Whether rustdoc compiles a block with these words after the fence.
fn compiled(info: &str) -> bool {
    info.split([',', ' '])
        .filter(|word| !word.is_empty())
        .all(|word| COMPILED.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(docs: &str) -> Tree {
        let tree = Tree::default().with_member("crates/stats", "evenkeel-stats", &[]);
        tree.file("crates/stats/README.md", "# stats\n\nCounts.\n")
            .file("crates/stats/src/lib.rs", docs)
    }

    #[test]
    fn a_crate_that_explains_itself_passes() {
        tree("//! Counts.\n//!\n//! ```\n//! let one = 1;\n//! ```\n").passes(check);
        tree("//! Counts.\n//! ```rust,no_run\n//! let one = 1;\n//! ```\n").passes(check);
    }

    #[test]
    fn an_example_nobody_compiles_is_found() {
        for info in ["ignore", "text", "sh", "rust,ignore", "compile_fail"] {
            let docs = format!("//! Counts.\n//! ```{info}\n//! let one = 1;\n//! ```\n");
            tree(&docs).finds(
                check,
                &["crates/stats/src/lib.rs:1:", "no example that is compiled"],
            );
        }
        tree("//! Counts.\n//! ```\n//! ```\n").finds(check, &["no example that is compiled"]);
    }

    #[test]
    fn missing_docs_and_pages_are_found() {
        tree("pub fn a() {}\n").finds(check, &["no `//!` docs"]);
        let good = "//! Counts.\n//! ```\n//! let one = 1;\n//! ```\n";
        let bare = Tree::default()
            .with_member("crates/stats", "evenkeel-stats", &[])
            .file("crates/stats/src/lib.rs", good);
        bare.finds(check, &["crates/stats/README.md:1:", "there is no README.md"]);
        tree(good)
            .file("crates/stats/README.md", "# stats\n")
            .finds(check, &["nothing but its title"]);
    }

    #[test]
    fn the_page_may_be_the_docs() {
        let tree = tree("#![doc = include_str!(\"../README.md\")]\n");
        tree.file(
            "crates/stats/README.md",
            "# stats\n\n```rust\nlet one = 1;\n```\n",
        )
        .passes(check);
    }

    #[test]
    fn a_program_needs_no_example_and_other_members_nothing() {
        Tree::default()
            .with_member("crates/gateway", "evenkeel-gateway", &[])
            .file("crates/gateway/README.md", "# gateway\n\nRuns.\n")
            .file("crates/gateway/src/main.rs", "//! Runs.\n")
            .with_member("xtask", "xtask", &[])
            .passes(check);
    }
}
