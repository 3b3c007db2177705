//! Who may depend on whom: the arrows of the design, as data.
//!
//! Normal and build dependencies keep to [`ARROWS`]. Tests may in addition use `testkit` and
//! whatever lies below what the crate uses already. `benches` may use all but the gateway;
//! `xtask` uses nothing of ours, in tests either, so that it builds when our crates do not.

use std::collections::BTreeSet;

use super::tree::{Member, Tree};
use super::{Finding, manifest};

/// Each crate by its folder, and the crates of ours it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("stats", &[]),
    ("testkit", &[]),
    ("strategy", &["stats"]),
    ("io-core", &["stats"]),
    ("health", &["stats", "io-core"]),
    ("pool", &["stats", "io-core", "strategy"]),
    ("balancer", &["stats", "strategy", "health"]),
    (
        "evenkeel",
        &["stats", "strategy", "io-core", "health", "pool", "balancer"],
    ),
    ("otlp-wire", &[]),
    ("otlp", &["evenkeel", "otlp-wire"]),
    ("gateway", &["evenkeel", "otlp", "otlp-wire"]),
];

/// Where the table is, for the findings.
const TABLE: &str = "xtask/src/tidy/arrows.rs";

/// The rule.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.members
        .iter()
        .flat_map(|member| check_member(tree, member))
        .collect()
}

fn check_member(tree: &Tree, member: &Member) -> Vec<Finding> {
    let short = member.short();
    let name = &member.package.name;
    if member.is_crate() {
        if allowed(short).is_none() {
            let mend = format!("add it to ARROWS in {TABLE} with the crates it may use");
            return vec![Finding::new(
                member.manifest(),
                1,
                format!("crate `{short}` is not in the table of arrows"),
                mend,
            )];
        }
        let expected = if short == "evenkeel" {
            short.to_owned()
        } else {
            format!("evenkeel-{short}")
        };
        if *name != expected {
            let line = manifest::line_of_package_name(tree, member);
            let what = format!("the package in `{}` is called `{name}`", member.folder);
            return vec![Finding::new(
                member.manifest(),
                line,
                what,
                format!("call it `{expected}`"),
            )];
        }
    }
    let mut found = Vec::new();
    for dependency in &member.package.dependencies {
        let Some(to) = tree.member(&dependency.name) else {
            continue;
        };
        let kind = dependency.kind.as_deref();
        if may(member, to, kind == Some("dev")) {
            continue;
        }
        let line = manifest::line_of_dependency(tree, member, &dependency.name, kind);
        let what = match kind {
            Some(kind) => format!("`{short}` has a {kind}-dependency on `{}`", to.short()),
            None => format!("`{short}` depends on `{}`", to.short()),
        };
        found.push(Finding::new(member.manifest(), line, what, mend(member, to)));
    }
    found
}

/// Whether the arrow is drawn.
fn may(from: &Member, to: &Member, in_tests: bool) -> bool {
    match from.folder.as_str() {
        "xtask" => false,
        "benches" => to.is_crate() && to.short() != "gateway",
        _ if !to.is_crate() => false,
        _ if in_tests => {
            to.short() == "testkit" || from.short() == to.short() || below(from.short()).contains(to.short())
        }
        _ => allowed(from.short()).is_some_and(|allowed| allowed.contains(&to.short())),
    }
}

/// The row of the table.
fn allowed(short: &str) -> Option<&'static [&'static str]> {
    ARROWS
        .iter()
        .find(|(name, _)| *name == short)
        .map(|(_, allowed)| *allowed)
}

/// Everything the row leads to, step by step.
fn below(short: &str) -> BTreeSet<&'static str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = allowed(short).unwrap_or_default().to_vec();
    while let Some(next) = open.pop() {
        if reached.insert(next) {
            open.extend(allowed(next).unwrap_or_default());
        }
    }
    reached
}

/// What to do about an arrow that is not drawn.
fn mend(from: &Member, to: &Member) -> String {
    match (from.folder.as_str(), to.short()) {
        ("xtask", _) => "xtask uses no crate of ours: drop it".to_owned(),
        (_, "gateway") => {
            "nothing depends on the gateway: move what you need into `otlp` or lower".to_owned()
        }
        (_, "testkit") => "testkit is for tests: make it a dev-dependency".to_owned(),
        _ => match allowed(from.short()) {
            Some([]) => "it may use no crate of ours: move the code, or change the design first".to_owned(),
            Some(names) => format!(
                "it may use {}: move the code, or change the design first",
                names.join(", ")
            ),
            None => "drop it".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        Tree::default()
            .with_member("crates/stats", "evenkeel-stats", &[])
            .with_member("crates/testkit", "evenkeel-testkit", &["tokio"])
            .with_member(
                "crates/io-core",
                "evenkeel-io-core",
                &["evenkeel-stats", "dev:evenkeel-testkit"],
            )
            .with_member(
                "crates/health",
                "evenkeel-health",
                &["evenkeel-stats", "evenkeel-io-core"],
            )
            .with_member("crates/gateway", "evenkeel-gateway", &[])
    }

    #[test]
    fn arrows_as_drawn_pass() {
        tree().passes(check);
    }

    #[test]
    fn a_leaf_that_grows_a_root_is_found() {
        let tree = tree().with_member("crates/strategy", "evenkeel-strategy", &["evenkeel-io-core"]);
        tree.finds(
            check,
            &[
                "crates/strategy/Cargo.toml:4:",
                "`strategy` depends on `io-core`",
                "it may use stats",
            ],
        );
    }

    #[test]
    fn a_build_dependency_is_no_way_round() {
        let tree = tree().with_member(
            "crates/strategy",
            "evenkeel-strategy",
            &["build:evenkeel-io-core"],
        );
        tree.finds(check, &["build-dependency on `io-core`"]);
    }

    #[test]
    fn testkit_outside_tests_is_found() {
        let tree = tree().with_member("crates/strategy", "evenkeel-strategy", &["evenkeel-testkit"]);
        tree.finds(check, &["make it a dev-dependency"]);
    }

    #[test]
    fn tests_may_use_what_lies_below_but_not_above() {
        let below = [
            "evenkeel-health",
            "dev:evenkeel-io-core",
            "dev:evenkeel-testkit",
            "dev:evenkeel-balancer",
        ];
        tree()
            .with_member("crates/balancer", "evenkeel-balancer", &below)
            .passes(check);
        let above = tree().with_member("crates/strategy", "evenkeel-strategy", &["dev:evenkeel-health"]);
        above.finds(check, &["`strategy` has a dev-dependency on `health`"]);
    }

    #[test]
    fn a_new_crate_must_be_put_in_the_table() {
        tree()
            .with_member("crates/discovery", "evenkeel-discovery", &[])
            .finds(check, &["`discovery`", TABLE]);
    }

    #[test]
    fn a_package_is_called_after_its_folder() {
        tree()
            .with_member("crates/pool", "evenkeel-pools", &[])
            .finds(check, &["call it `evenkeel-pool`"]);
    }

    #[test]
    fn benches_and_xtask_stay_outside() {
        let benches = ["evenkeel-stats", "evenkeel-io-core", "evenkeel-testkit"];
        tree()
            .with_member("benches", "evenkeel-benches", &benches)
            .passes(check);
        tree()
            .with_member("benches", "evenkeel-benches", &["evenkeel-gateway"])
            .finds(check, &["nothing depends on"]);
        tree()
            .with_member("xtask", "xtask", &["dev:evenkeel-testkit"])
            .finds(check, &["xtask uses no crate of ours"]);
        let back = tree().with_member("benches", "evenkeel-benches", &[]);
        back.with_member("crates/pool", "evenkeel-pool", &["dev:evenkeel-benches"])
            .finds(check, &["on `benches`"]);
    }

    #[test]
    fn the_table_has_no_circle() {
        for (name, _) in ARROWS {
            assert!(!below(name).contains(name), "{name} reaches itself");
        }
    }
}
