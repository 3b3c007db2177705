//! Made-up trees for the rules' tests.

use super::tree::{Member, Tree};
use super::{Finding, Rule};
use crate::metadata::{Dependency, Package, Target};

impl Tree {
    /// With a file.
    pub(super) fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.to_owned(), Some(text.to_owned()));
        self
    }

    /// With a member and its manifest; dependencies are `name`, `dev:name` or `build:name`.
    pub(super) fn with_member(self, folder: &str, name: &str, dependencies: &[&str]) -> Self {
        let mut manifest = format!("[package]\nname = \"{name}\"\n");
        let mut package = Package {
            name: name.to_owned(),
            ..Package::default()
        };
        for dependency in dependencies {
            let (kind, name) = match dependency.split_once(':') {
                Some((kind, name)) => (Some(kind.to_owned()), name),
                None => (None, *dependency),
            };
            let table = kind
                .as_ref()
                .map_or("dependencies".to_owned(), |kind| format!("{kind}-dependencies"));
            manifest.push_str(&format!("[{table}]\n{name} = {{ workspace = true }}\n"));
            package.dependencies.push(Dependency {
                name: name.to_owned(),
                kind,
            });
        }
        manifest.push_str("[lints]\nworkspace = true\n");
        let mut tree = self.file(&format!("{folder}/Cargo.toml"), &manifest);
        tree.members.push(Member {
            folder: folder.to_owned(),
            package,
        });
        tree
    }

    /// With a target of the member added last.
    pub(super) fn with_target(mut self, kind: &str, name: &str, file: &str) -> Self {
        let target = Target {
            name: name.to_owned(),
            kind: vec![kind.to_owned()],
            src_path: file.into(),
            ..Target::default()
        };
        self.members
            .last_mut()
            .expect("a member first")
            .package
            .targets
            .push(target);
        self.file(file, "")
    }

    /// With a feature of the member added last.
    pub(super) fn with_feature(mut self, name: &str) -> Self {
        self.members
            .last_mut()
            .expect("a member first")
            .package
            .features
            .insert(name.to_owned(), Vec::new());
        self
    }

    /// The same, with what it turns on.
    pub(super) fn with_feature_that_brings(mut self, name: &str, brought: &[&str]) -> Self {
        let brought = brought.iter().map(|name| (*name).to_owned()).collect();
        let member = self.members.last_mut().expect("a member first");
        member.package.features.insert(name.to_owned(), brought);
        self
    }

    /// The target added last needs a feature.
    pub(super) fn needing(mut self, feature: &str) -> Self {
        let targets = &mut self.members.last_mut().expect("a member first").package.targets;
        let target = targets.last_mut().expect("a target first");
        target.required_features.push(feature.to_owned());
        self
    }

    /// With what the default features of a package build.
    pub(super) fn reaching(mut self, package: &str, names: &[&str]) -> Self {
        self.reach.insert(
            package.to_owned(),
            names.iter().map(|name| (*name).to_owned()).collect(),
        );
        self
    }

    /// Everything `rule` finds, as printed.
    pub(super) fn found(&self, rule: Rule) -> Vec<String> {
        rule(self).iter().map(Finding::to_string).collect()
    }

    /// Asserts one finding that says all of `words`.
    #[track_caller]
    pub(super) fn finds(&self, rule: Rule, words: &[&str]) {
        let found = self.found(rule);
        assert_eq!(found.len(), 1, "one finding expected: {found:#?}");
        for word in words {
            assert!(found[0].contains(word), "`{word}` is not in: {}", found[0]);
        }
    }

    /// Asserts that there is nothing to mend.
    #[track_caller]
    pub(super) fn passes(&self, rule: Rule) {
        assert_eq!(self.found(rule), Vec::<String>::new());
    }
}
