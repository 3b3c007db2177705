//! Links from one file of the tree to another lead somewhere.
//!
//! Looks at `[text](path)`, `[name]: path`, `src=`, `srcset=` and `href=` in every `*.md`, outside of
//! code. Addresses (`https:`, `mailto:`) and places on the same page (`#part`) are left alone.

use super::tree::Tree;
use super::{Finding, markdown};

/// The rule.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (page, text) in tree.texts(".md") {
        for line in markdown::lines(text)
            .into_iter()
            .filter(|line| line.code.is_none())
        {
            let prose = markdown::without_ticked(line.text);
            for link in links(&prose) {
                if let Some(path) = resolve(page, link).filter(|path| !tree.exists(path)) {
                    let what = format!("the link `{link}` leads to `{path}`, which is not there");
                    found.push(Finding::new(
                        page,
                        line.number,
                        what,
                        "mend the link or add the file",
                    ));
                }
            }
        }
    }
    found
}

/// Where the links of a line lead, as written.
fn links(line: &str) -> Vec<&str> {
    let mut links: Vec<&str> = line
        .match_indices("](")
        .map(|(at, sign)| until(&line[at + sign.len()..], &[')', ' ']))
        .collect();
    for attribute in ["src=\"", "srcset=\"", "href=\""] {
        links.extend(
            line.match_indices(attribute)
                .map(|(at, sign)| until(&line[at + sign.len()..], &['"', ' '])),
        );
    }
    if let Some((_, rest)) = line
        .trim_start()
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]:"))
    {
        links.push(until(rest.trim_start(), &[' ']));
    }
    links
        .into_iter()
        .map(|link| link.trim_matches(['<', '>']))
        .filter(|link| !link.is_empty())
        .collect()
}

/// The text up to any of `ends`.
fn until<'a>(text: &'a str, ends: &[char]) -> &'a str {
    text.split(ends).next().unwrap_or(text)
}

/// The path from the root that a link on `page` leads to; nothing when it leads out of the tree's care.
fn resolve(page: &str, link: &str) -> Option<String> {
    let path = link.split(['#', '?']).next().unwrap_or(link);
    // A scheme, a place on this page, or a path of Rust for rustdoc.
    if path.is_empty() || path.contains(':') {
        return None;
    }
    let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
    let whole = match path.strip_prefix('/') {
        Some(from_root) => from_root.to_owned(),
        None => format!("{folder}/{path}"),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return Some(link.to_owned()),
            ".." => {}
            part => parts.push(part),
        }
    }
    Some(parts.join("/").replace("%20", " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(page: &str) -> Tree {
        Tree::default()
            .file("docs/page.md", page)
            .file("docs/other.md", "")
            .file("crates/stats/README.md", "")
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        for page in [
            "[a](other.md#part) and [b](../crates/stats/) and [c](/crates/stats/README.md)",
            "[a](https://example.org/no.md) [b](#part) [c](mailto:a@b.c) [d](crate::Pool)",
            "`[a](no.md)` is how a link is written",
            "```\n[a](no.md)\n```",
            "[a][b]\n\n[b]: other.md 'title'",
            "<img src=\"other.md\" alt=\"\"> and ![a](<other.md> \"title\")",
            "[root](..)",
        ] {
            tree(page).passes(check);
        }
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        for page in [
            "[a](no.md)",
            "[a](no.md#part)",
            "![a](no.md)",
            "[b]: no.md",
            "<a href=\"no.md\">a</a>",
        ] {
            tree(&format!("\n{page}\n")).finds(check, &["docs/page.md:2:", "`docs/no.md`"]);
        }
        tree("[a](/no.md)").finds(check, &["leads to `no.md`"]);
        tree("[a](../../no.md)").finds(check, &["`../../no.md`"]);
    }
}
