//! Lines in a `Cargo.toml`, for findings that point at them.

use super::tree::{Member, Tree};

/// The line that names a dependency of this kind (nothing, `dev` or `build`); 1 when it is not to be found.
pub(super) fn line_of_dependency(tree: &Tree, member: &Member, name: &str, kind: Option<&str>) -> usize {
    let table = kind.map_or("dependencies".to_owned(), |kind| format!("{kind}-dependencies"));
    line_in(tree, member, name, |section| {
        section == table
            || section.ends_with(&format!(".{table}"))
            || section.ends_with(&format!("{table}.{name}"))
    })
}

/// The line of the package's name.
pub(super) fn line_of_package_name(tree: &Tree, member: &Member) -> usize {
    line_in(tree, member, "name", |section| section == "package")
}

/// The first line with `key` in a section that is `wanted`; a section named after the key counts too.
fn line_in(tree: &Tree, member: &Member, key: &str, wanted: impl Fn(&str) -> bool) -> usize {
    let mut inside = false;
    for (index, line) in tree
        .text(&member.manifest())
        .unwrap_or_default()
        .lines()
        .enumerate()
    {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = wanted(section);
            if inside && section.ends_with(&format!(".{key}")) {
                return index + 1;
            }
        } else if inside {
            let found = line
                .split(['=', '.'])
                .next()
                .unwrap_or_default()
                .trim()
                .trim_matches('"');
            // A renamed dependency has its real name to the right.
            if found == key || line.contains(&format!("package = \"{key}\"")) {
                return index + 1;
            }
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[package]\nname = \"a\"\n[dependencies]\nb.workspace = true\n[dev-dependencies]\nb = \"1\"\n\
        [target.'cfg(unix)'.dependencies]\nc = \"1\"\nother = { package = \"d\" }\n[dependencies.e]\nversion = \"1\"\n";

    #[test]
    fn the_line_is_the_one_of_the_right_table() {
        let tree = Tree::default()
            .with_member("x", "a", &[])
            .file("x/Cargo.toml", TEXT);
        let member = &tree.members[0];
        let line = |name, kind| line_of_dependency(&tree, member, name, kind);
        assert_eq!(line_of_package_name(&tree, member), 2);
        assert_eq!([line("b", None), line("b", Some("dev"))], [4, 6]);
        assert_eq!([line("c", None), line("d", None), line("e", None)], [8, 9, 10]);
        assert_eq!(line("absent", None), 1);
    }
}
