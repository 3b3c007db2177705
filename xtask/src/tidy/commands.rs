//! Commands that a page tells people to type exist.
//!
//! In the shell blocks (`sh`, `bash`, `shell`, `console`) of every page (`*.md`):
//!
//! - `cargo xtask ..` is a command line that xtask itself accepts, options included, and a scenario
//!   named after `bench` has a file `benches/scenarios/<name>.toml`;
//! - the command after any other `cargo` is one of cargo's own;
//! - `-p NAME`, `--example NAME`, `--bench NAME`, `--bin NAME`, `--test NAME` and `--features NAME` exist;
//! - a `--bench`, `--bin` or `--test` that needs features is called with them;
//! - `cargo add evenkeel..` and `cargo install evenkeel..` name packages of ours.
//!
//! The README must show the two commands a newcomer needs, each alone on its line: [`NEEDED`].

use clap::Parser as _;

use super::tree::Tree;
use super::{Finding, shell};
use crate::cli::{Cli, Command};
use crate::metadata::Target;

/// The page that a newcomer reads first.
const README: &str = "README.md";

/// What it must show.
const NEEDED: [&str; 2] = ["cargo xtask bench", "cargo test --workspace"];

/// What cargo has of itself, or of tools everybody installs.
const CARGO: [&str; 25] = [
    "add", "bench", "build", "check", "clean", "clippy", "deny", "doc", "fetch", "fix", "fmt", "fuzz",
    "init", "install", "metadata", "miri", "new", "package", "publish", "remove", "run", "rustc", "test",
    "tree", "update",
];

/// The rule.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, page) in tree.texts(".md") {
        for command in shell::commands(page) {
            if let ["cargo", words @ ..] = command
                .words
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .as_slice()
                && let Err((what, mend)) = check_cargo(tree, words)
            {
                found.push(Finding::new(path, command.line, what, mend));
            }
        }
    }
    let Some(page) = tree.text(README) else {
        found.push(Finding::new(README, 1, "there is no README.md", "write it"));
        return found;
    };
    let shown: Vec<String> = shell::commands(page)
        .iter()
        .map(|command| command.words.join(" "))
        .collect();
    for needed in NEEDED
        .iter()
        .filter(|needed| !shown.iter().any(|command| command == *needed))
    {
        let mend = "show it in a ```sh block, alone on its line";
        found.push(Finding::new(
            README,
            1,
            format!("the command `{needed}` is not there"),
            mend,
        ));
    }
    found
}

/// What is wrong, and how to mend it.
type Wrong = (String, String);

/// A wrong name, and those there are.
fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Wrong {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    let known = if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    };
    (
        format!("there is no {what} `{name}`"),
        format!("there are: {known}"),
    )
}

/// The words after `cargo`.
fn check_cargo(tree: &Tree, words: &[&str]) -> Result<(), Wrong> {
    let words = if words.first().is_some_and(|word| word.starts_with('+')) {
        &words[1..]
    } else {
        words
    };
    match words.split_first() {
        None => Ok(()),
        Some((&"xtask", _)) => check_xtask(tree, words),
        Some((command, rest)) if CARGO.contains(command) => check_names(tree, command, rest),
        Some((option, _)) if option.starts_with('-') => Ok(()),
        Some((command, _)) => Err(unknown(
            "cargo command",
            command,
            CARGO.into_iter().chain(["xtask"]),
        )),
    }
}

/// `cargo xtask ..`: whatever xtask's own command line takes.
fn check_xtask(tree: &Tree, words: &[&str]) -> Result<(), Wrong> {
    let args = match Cli::try_parse_from(words) {
        Ok(Cli {
            command: Command::Bench(args),
        }) => args,
        Ok(_) => return Ok(()),
        Err(error) if !error.use_stderr() => return Ok(()), // --help
        Err(error) => {
            let said = error.to_string();
            let first = said
                .lines()
                .next()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned();
            return Err((
                format!("`cargo {}`: {first}", words.join(" ")),
                "`cargo xtask --help` lists what there is".to_owned(),
            ));
        }
    };
    // `micro` runs criterion and has no file.
    for name in args.scenarios.iter().filter(|name| *name != "micro") {
        if !tree.scenarios().any(|scenario| scenario == name) {
            return Err(unknown("scenario", name, tree.scenarios()));
        }
    }
    Ok(())
}

/// Names in a command of cargo's own.
fn check_names(tree: &Tree, command: &str, words: &[&str]) -> Result<(), Wrong> {
    let options = options(words);
    let mut package = None;
    for (_, name) in options
        .iter()
        .filter(|(option, _)| matches!(*option, "-p" | "--package"))
    {
        let member = tree
            .member(name)
            .ok_or_else(|| unknown("package", name, packages(tree)))?;
        package = Some(member.package.name.as_str());
    }
    for (option, name) in &options {
        match *option {
            "--example" | "--bench" | "--bin" | "--test" => {
                let kind = &option[2..];
                let Some(target) = tree.targets(kind, package).find(|target| target.name == *name) else {
                    return Err(unknown(
                        kind,
                        name,
                        tree.targets(kind, package).map(|target| target.name.as_str()),
                    ));
                };
                check_required(tree, target, &options, words)?;
            }
            "--features" | "-F" if !matches!(command, "add" | "install") => {
                check_features(tree, package, name)?;
            }
            _ => {}
        }
    }
    if matches!(command, "add" | "install") {
        for name in words
            .iter()
            .take_while(|word| **word != "--")
            .filter(|word| word.starts_with("evenkeel"))
        {
            let name = name.split('@').next().unwrap_or(name);
            tree.member(name)
                .ok_or_else(|| unknown("package", name, packages(tree)))?;
        }
    }
    Ok(())
}

/// A target that needs features is called with them, or with one that brings them.
fn check_required(
    tree: &Tree,
    target: &Target,
    options: &[(&str, &str)],
    words: &[&str],
) -> Result<(), Wrong> {
    if words.contains(&"--all-features") {
        return Ok(());
    }
    let mut given: Vec<&str> = options
        .iter()
        .filter(|(option, _)| matches!(*option, "--features" | "-F"))
        .flat_map(|(_, names)| names.split([',', ' ']))
        .map(|name| name.rsplit('/').next().unwrap_or(name))
        .collect();
    let all = || tree.members.iter().flat_map(|member| &member.package.features);
    let mut at = 0;
    while let Some(name) = given.get(at).copied() {
        let brought = all()
            .filter(|(feature, _)| *feature == name)
            .flat_map(|(_, brought)| brought);
        for brought in brought {
            if !given.contains(&brought.as_str()) {
                given.push(brought);
            }
        }
        at += 1;
    }
    match target
        .required_features
        .iter()
        .find(|needed| !given.contains(&needed.as_str()))
    {
        Some(needed) => Err((
            format!("`{}` needs the feature `{needed}`", target.name),
            format!("add `--features {needed}`"),
        )),
        None => Ok(()),
    }
}

/// Features of one package, or of any.
fn check_features(tree: &Tree, package: Option<&str>, names: &str) -> Result<(), Wrong> {
    let members = || {
        tree.members
            .iter()
            .filter(move |member| package.is_none_or(|name| member.package.name == name))
    };
    for name in names.split([',', ' ']).filter(|name| !name.is_empty()) {
        // `package/feature` names its package itself.
        let bare = name.rsplit('/').next().unwrap_or(name);
        if !members().any(|member| member.package.features.contains_key(bare)) {
            let known = members()
                .flat_map(|member| member.package.features.keys())
                .map(String::as_str);
            return Err(unknown("feature", name, known));
        }
    }
    Ok(())
}

/// The names of all members.
fn packages(tree: &Tree) -> impl Iterator<Item = &str> {
    tree.members.iter().map(|member| member.package.name.as_str())
}

/// Every option with the word that belongs to it: `--bench a`, `--bench=a`, up to `--`.
fn options<'a>(words: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let mut options = Vec::new();
    let mut words = words.iter().take_while(|word| **word != "--").peekable();
    while let Some(word) = words.next() {
        if let Some((option, value)) = word.split_once('=').filter(|_| word.starts_with('-')) {
            options.push((option, value));
        } else if word.starts_with('-')
            && let Some(value) = words.peek().filter(|next| !next.starts_with('-'))
        {
            options.push((*word, **value));
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDED_BLOCK: &str = "```sh\ncargo xtask bench\ncargo test --workspace\n```\n";

    fn tree(command: &str) -> Tree {
        Tree::default()
            .with_member("crates/stats", "evenkeel-stats", &[])
            .with_target("example", "count", "crates/stats/examples/count.rs")
            .with_feature("serde")
            .with_member("benches", "evenkeel-benches", &[])
            .with_target("bench", "record", "benches/benches/record.rs")
            .file("benches/scenarios/io.toml", "")
            .file(README, &format!("{NEEDED_BLOCK}```sh\n{command}\n```\n"))
    }

    #[test]
    fn commands_that_exist_pass() {
        for command in [
            "cargo xtask bench io --quick --repeat 3",
            "cargo xtask --help",
            "cargo +nightly test -p evenkeel-stats --features serde -- --nocapture",
            "cargo bench -p evenkeel-benches --bench record -- count",
            "cargo run --example=count",
            "cargo add evenkeel-stats --features serde",
            "cargo --version",
            "make cargo frobnicate",
        ] {
            tree(command).passes(check);
        }
    }

    #[test]
    fn commands_that_do_not_exist_are_found() {
        for (command, says) in [
            ("cargo xtask comapre a b", "comapre"),
            ("cargo xtask bench --fast", "--fast"),
            ("cargo xtask bench oi", "there is no scenario `oi`; there are: io"),
            ("cargo frobnicate", "there is no cargo command `frobnicate`"),
            (
                "cargo test -p evenkeel-stat",
                "there is no package `evenkeel-stat`; there are: evenkeel-benches, evenkeel-stats",
            ),
            (
                "cargo run -p evenkeel-benches --example count",
                "there is no example `count`; there are: none",
            ),
            (
                "cargo bench --bench=recrod",
                "there is no bench `recrod`; there are: record",
            ),
            (
                "cargo test --features tls",
                "there is no feature `tls`; there are: serde",
            ),
            (
                "cd x && A=1 cargo add evenkeel-pol",
                "there is no package `evenkeel-pol`",
            ),
        ] {
            tree(command).finds(check, &["README.md:6:", says]);
        }
    }

    #[test]
    fn a_benchmark_that_needs_a_feature_is_called_with_it() {
        let tree = |features: &str| {
            let command = format!("cargo bench -p evenkeel-benches {features} --bench peers");
            tree(&command)
                .with_feature_that_brings("peers", &["dep:tower"])
                .with_feature_that_brings("pingora", &["peers"])
                .with_target("bench", "peers", "benches/benches/peers.rs")
                .needing("peers")
        };
        tree("").finds(check, &["README.md:6:", "`peers` needs the feature `peers`"]);
        for enough in ["--features peers", "--features pingora", "--all-features"] {
            tree(enough).passes(check);
        }
    }

    #[test]
    fn pages_below_are_checked_too() {
        let tree = tree("ls").file("docs/a.md", "```console\n$ cargo nothing\n```\n");
        tree.finds(check, &["docs/a.md:2:", "`nothing`"]);
    }

    #[test]
    fn a_readme_without_the_two_commands_is_found() {
        tree("ls")
            .file(README, "```sh\ncargo test --workspace\n```\n")
            .finds(check, &["`cargo xtask bench` is not there"]);
        Tree::default().finds(check, &["README.md:1: there is no README.md"]);
    }
}
