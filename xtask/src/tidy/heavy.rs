//! What a crate must not pull in: a user who takes one crate gets only what that crate needs.

use super::tree::{Member, Tree};
use super::{Finding, manifest};

/// Packages that no library crate's default features may build, with what they are.
const HEAVY: &[(&str, &str)] = &[
    ("hyper", "HTTP"),
    ("tonic", "gRPC"),
    ("rustls", "TLS"),
    ("native-tls", "TLS"),
    ("openssl", "TLS"),
];

/// Crates that exist for what [`HEAVY`] lists, or are never published.
const MAY_BE_HEAVY: &[&str] = &["otlp", "gateway", "testkit"];

/// Members that may know OTLP.
const KNOW_OTLP: &[&str] = &["otlp", "otlp-wire", "gateway", "benches"];

/// The rule.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for member in &tree.members {
        found.extend(default_features(tree, member));
        found.extend(otlp(tree, member));
        found.extend(strategy(tree, member));
    }
    found
}

/// Default features stay light.
fn default_features(tree: &Tree, member: &Member) -> Vec<Finding> {
    if !member.is_crate() || MAY_BE_HEAVY.contains(&member.short()) {
        return Vec::new();
    }
    let Some(reach) = tree.reach.get(&member.package.name) else {
        return Vec::new();
    };
    let heavy = HEAVY.iter().filter(|(name, _)| reach.contains(*name));
    let finding = |(name, is): &(&str, &str)| {
        let line = manifest::line_of_dependency(tree, member, name, None);
        let what = format!(
            "the default features of `{}` build `{name}` ({is})",
            member.short()
        );
        let ask = format!(
            "put it behind a feature; `cargo tree -p {} -i {name}` shows the way",
            member.package.name
        );
        Finding::new(member.manifest(), line, what, ask)
    };
    heavy.map(finding).collect()
}

/// Only the crates made for it know OTLP.
fn otlp(tree: &Tree, member: &Member) -> Vec<Finding> {
    if KNOW_OTLP.contains(&member.short()) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for dependency in &member.package.dependencies {
        if dependency.name.starts_with("opentelemetry")
            || dependency.name.contains("otlp") && tree.member(&dependency.name).is_none()
        {
            let line =
                manifest::line_of_dependency(tree, member, &dependency.name, dependency.kind.as_deref());
            let what = format!("`{}` depends on `{}`", member.short(), dependency.name);
            let mend = format!("only {} know OTLP: move it there", KNOW_OTLP.join(", "));
            found.push(Finding::new(member.manifest(), line, what, mend));
        }
    }
    found
}

/// `strategy` chooses; it has no runtime. Its tests may have one.
fn strategy(tree: &Tree, member: &Member) -> Vec<Finding> {
    if member.short() != "strategy" {
        return Vec::new();
    }
    let asked = |name: &str| {
        member
            .package
            .dependencies
            .iter()
            .any(|is| is.name == name && is.kind.as_deref() != Some("dev"))
    };
    let built = tree
        .reach
        .get(&member.package.name)
        .is_some_and(|reach| reach.contains("tokio"));
    if !built && !asked("tokio") {
        return Vec::new();
    }
    let line = manifest::line_of_dependency(tree, member, "tokio", None);
    let mend = "choosing is synchronous: hand in what it needs instead";
    vec![Finding::new(
        member.manifest(),
        line,
        "`strategy` depends on `tokio`",
        mend,
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_crates_pass() {
        Tree::default()
            .with_member("crates/strategy", "evenkeel-strategy", &["rand", "dev:tokio"])
            .reaching("evenkeel-strategy", &["rand"])
            .with_member("crates/otlp", "evenkeel-otlp", &["opentelemetry-otlp"])
            .reaching("evenkeel-otlp", &["hyper", "tonic"])
            .with_member("crates/gateway", "evenkeel-gateway", &["evenkeel-otlp"])
            .with_member(
                "benches",
                "evenkeel-benches",
                &["opentelemetry", "hyper", "evenkeel-otlp"],
            )
            .reaching("evenkeel-benches", &["hyper"])
            .passes(check);
    }

    #[test]
    fn tls_in_the_default_features_is_found_also_behind_another_crate() {
        Tree::default()
            .with_member("crates/pool", "evenkeel-pool", &["something"])
            .reaching("evenkeel-pool", &["something", "rustls"])
            .finds(
                check,
                &[
                    "crates/pool/Cargo.toml",
                    "build `rustls` (TLS)",
                    "cargo tree -p evenkeel-pool -i rustls",
                ],
            );
    }

    #[test]
    fn a_runtime_in_strategy_is_found_also_when_optional_or_indirect() {
        let direct = Tree::default().with_member("crates/strategy", "evenkeel-strategy", &["tokio"]);
        direct.finds(
            check,
            &["crates/strategy/Cargo.toml:4:", "`strategy` depends on `tokio`"],
        );
        let indirect = Tree::default().with_member("crates/strategy", "evenkeel-strategy", &["x"]);
        indirect
            .reaching("evenkeel-strategy", &["x", "tokio"])
            .finds(check, &["depends on `tokio`"]);
    }

    #[test]
    fn otlp_in_a_lower_crate_is_found() {
        for name in [
            "opentelemetry_sdk",
            "opentelemetry-proto",
            "dev:opentelemetry-otlp",
        ] {
            let tree = Tree::default().with_member("crates/stats", "evenkeel-stats", &[name]);
            tree.finds(check, &["only otlp, otlp-wire, gateway, benches know OTLP"]);
        }
    }
}
