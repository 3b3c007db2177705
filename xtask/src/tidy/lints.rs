//! Every member takes the workspace's lints; without the two lines it has none of them.

use super::Finding;
use super::tree::Tree;

/// The rule.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for member in &tree.members {
        let manifest = member.manifest();
        let parsed = tree.text(&manifest).map(toml::from_str::<toml::Table>);
        let takes = match &parsed {
            Some(Ok(table)) => {
                table
                    .get("lints")
                    .and_then(|lints| lints.get("workspace")?.as_bool())
                    == Some(true)
            }
            Some(Err(_)) | None => false,
        };
        if !takes {
            let what = "does not take the workspace's lints";
            found.push(Finding::new(
                manifest,
                1,
                what,
                "add `[lints]` with `workspace = true`",
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_without_the_lints_is_found() {
        let tree = Tree::default().with_member("crates/stats", "evenkeel-stats", &[]);
        tree.passes(check);
        for text in [
            "[package]\n",
            "[lints]\nworkspace = false\n",
            "[lints.rust]\nunsafe_code = \"allow\"\n",
        ] {
            let tree = Tree::default().with_member("crates/stats", "evenkeel-stats", &[]);
            tree.file("crates/stats/Cargo.toml", text)
                .finds(check, &["crates/stats/Cargo.toml:1:", "`[lints]`"]);
        }
    }
}
