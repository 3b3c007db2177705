//! What the rules look at: the files, the members and what each member builds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::metadata::{self, Package, Target};
use crate::workspace::{self, Error};

/// The tree, in memory.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Every file by its path from the root; nothing for one that is not text.
    pub(super) files: BTreeMap<String, Option<String>>,
    /// The members of the workspace.
    pub(super) members: Vec<Member>,
    /// For each member by package name: every package its default features build.
    pub(super) reach: BTreeMap<String, BTreeSet<String>>,
}

/// A member of the workspace.
#[derive(Debug, Default)]
pub(super) struct Member {
    /// Its folder from the root: `crates/stats`.
    pub(super) folder: String,
    /// What cargo knows of it.
    pub(super) package: Package,
}

impl Member {
    /// The short name it has in the design: `stats`.
    pub(super) fn short(&self) -> &str {
        self.folder.rsplit('/').next().unwrap_or(&self.folder)
    }

    /// Whether it is one of the crates for users, as against `benches` and `xtask`.
    pub(super) fn is_crate(&self) -> bool {
        self.folder.starts_with("crates/")
    }

    /// The path of its manifest.
    pub(super) fn manifest(&self) -> String {
        format!("{}/Cargo.toml", self.folder)
    }
}

impl Tree {
    /// Reads the tree at `root`.
    pub(super) fn read(root: &Path) -> Result<Self, Error> {
        let mut tree = Self::default();
        for path in workspace::files(root)? {
            let full = root.join(&path);
            let bytes = std::fs::read(&full).map_err(|source| Error::Read { path: full, source })?;
            tree.files.insert(path, String::from_utf8(bytes).ok());
        }
        for package in metadata::read(root)?.packages {
            let folder = package.manifest_path.parent().unwrap_or(root);
            let folder = folder
                .strip_prefix(root)
                .unwrap_or(folder)
                .to_string_lossy()
                .replace('\\', "/");
            tree.reach
                .insert(package.name.clone(), metadata::reach(root, &package.name)?);
            tree.members.push(Member { folder, package });
        }
        Ok(tree)
    }

    /// Every path, sorted.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The text of a file that is there.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path)?.as_deref()
    }

    /// Every text file whose name ends like this.
    pub(super) fn texts<'a>(&'a self, end: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files
            .iter()
            .filter(move |(path, _)| path.ends_with(end))
            .filter_map(|(path, text)| Some((path.as_str(), text.as_deref()?)))
    }

    /// Whether there is a file or a folder of this name.
    pub(super) fn exists(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let folder = format!("{path}/");
        path.is_empty()
            || self.files.contains_key(path)
            || self
                .files
                .range(folder.clone()..)
                .next()
                .is_some_and(|(first, _)| first.starts_with(&folder))
    }

    /// The member with this package name.
    pub(super) fn member(&self, package: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.package.name == package)
    }

    /// All targets of a kind, of one package or of all.
    pub(super) fn targets<'a>(
        &'a self,
        kind: &'a str,
        package: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Target> {
        self.members
            .iter()
            .filter(move |member| package.is_none_or(|name| member.package.name == name))
            .flat_map(|member| &member.package.targets)
            .filter(move |target| target.kind.iter().any(|is| is == kind))
    }

    /// The names of the benchmark scenarios.
    pub(super) fn scenarios(&self) -> impl Iterator<Item = &str> {
        self.paths()
            .filter_map(|path| path.strip_prefix("benches/scenarios/")?.strip_suffix(".toml"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_not_taken_for_another_that_begins_alike() {
        let tree = Tree::default().file("crates/io-core/src/lib.rs", "");
        assert!(tree.exists("crates/io-core") && tree.exists("crates/io-core/"));
        assert!(!tree.exists("crates/io"));
        assert!(!tree.exists("crates/io-core/src/lib"));
    }
}
