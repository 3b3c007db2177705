//! Versions of what is measured, from the lock file: a figure of another version is another figure.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

/// The package whose dependencies are measured.
const BENCHES: &str = "evenkeel-benches";

/// Locked, and not built for a run: it is behind a feature of its own.
const LEFT_OUT: &str = "pingora-load-balancing";

/// What the lock file says of a package.
#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// The lock file.
#[derive(Debug, Deserialize)]
struct Lock {
    package: Vec<Package>,
}

/// The direct dependencies of the benchmarks with their versions; nothing without a lock file.
pub(super) fn measured(root: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
    of(&text).unwrap_or_default()
}

fn of(lock: &str) -> Option<BTreeMap<String, String>> {
    let lock: Lock = toml::from_str(lock).ok()?;
    let benches = lock.package.iter().find(|package| package.name == BENCHES)?;
    let version = |dependency: &String| {
        // `name`, or `name version` where there are several.
        let mut words = dependency.split(' ');
        let name = words.next()?;
        let version = words.next().map(str::to_owned).or_else(|| {
            let package = lock.package.iter().find(|package| package.name == name)?;
            Some(package.version.clone())
        })?;
        Some((name.to_owned(), version))
    };
    let built = benches
        .dependencies
        .iter()
        .filter(|name| !name.starts_with(LEFT_OUT));
    Some(built.filter_map(version).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_the_benchmarks_are_built_with() {
        let lock = r#"
[[package]]
name = "bb8"
version = "0.9.1"

[[package]]
name = "nix"
version = "0.30.0"

[[package]]
name = "nix"
version = "0.31.1"

[[package]]
name = "evenkeel-benches"
version = "0.1.0"
dependencies = ["bb8", "nix 0.31.1"]
"#;
        let expected = [("bb8", "0.9.1"), ("nix", "0.31.1")];
        let expected = expected.map(|(name, version)| (name.to_owned(), version.to_owned()));
        assert_eq!(of(lock), Some(expected.into()));
        assert_eq!(of("not a lock file ["), None);
    }

    #[test]
    fn the_lock_file_of_this_tree_names_the_peers() {
        let versions = measured(&crate::workspace::root());
        for peer in [
            "tokio",
            "bb8",
            "deadpool",
            "tower",
            "hyper-util",
            "evenkeel-io-core",
        ] {
            assert!(versions.contains_key(peer), "{peer} is not in {versions:?}");
        }
    }
}
