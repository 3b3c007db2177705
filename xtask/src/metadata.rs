//! The little of `cargo metadata` and `cargo tree` that is needed here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::workspace::{self, Error};

/// The workspace as cargo sees it, members only.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    /// The members.
    pub(crate) packages: Vec<Package>,
    /// Where build output goes.
    pub(crate) target_directory: PathBuf,
}

/// One member.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Package {
    /// The name it is published by.
    pub(crate) name: String,
    /// Its `Cargo.toml`.
    pub(crate) manifest_path: PathBuf,
    /// What it asks for, of every kind.
    pub(crate) dependencies: Vec<Dependency>,
    /// Libraries, binaries, examples, tests and benchmarks.
    pub(crate) targets: Vec<Target>,
    /// Feature names and what they turn on.
    pub(crate) features: BTreeMap<String, Vec<String>>,
}

/// One entry of a dependency table.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Dependency {
    /// The package's real name, also when it is renamed.
    pub(crate) name: String,
    /// Nothing for a normal dependency, else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

/// One thing cargo can build of a package.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: String,
    /// `lib`, `bin`, `example`, `test`, `bench`.
    pub(crate) kind: Vec<String>,
    /// Its root file.
    pub(crate) src_path: PathBuf,
    /// Features without which cargo does not build it.
    #[serde(default, rename = "required-features")]
    pub(crate) required_features: Vec<String>,
}

/// Reads the members of the workspace at `root`. Needs no network.
pub(crate) fn read(root: &Path) -> Result<Metadata, Error> {
    let text = workspace::output(workspace::cargo().current_dir(root).args([
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
    ]))?;
    serde_json::from_str(&text).map_err(|source| Error::Metadata { source })
}

/// The names of every package that `package` builds with its default features.
///
/// Asked of `cargo tree`, package by package, because the graph in `cargo metadata` mixes the
/// features that all members ask for.
pub(crate) fn reach(root: &Path, package: &str) -> Result<BTreeSet<String>, Error> {
    let text = workspace::output(workspace::cargo().current_dir(root).args([
        "tree",
        "--package",
        package,
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    Ok(names.filter(|name| *name != package).map(str::to_owned).collect())
}
