//! Just enough markdown: which lines are code, and of what kind.

/// One line of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Its number, from 1.
    pub(super) number: usize,
    /// The line.
    pub(super) text: &'a str,
    /// Inside a fenced block: what stands after the fence (`rust,no_run`, `sh`, or nothing).
    pub(super) code: Option<&'a str>,
}

/// The lines of a page, without the fences themselves.
pub(super) fn lines(page: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut open: Option<(&str, &str)> = None;
    for (index, text) in page.lines().enumerate() {
        let trimmed = text.trim_start();
        match (fence(trimmed), open) {
            (Some(fence), None) => open = Some((fence, trimmed[fence.len()..].trim())),
            (Some(fence), Some((opened, _))) if fence.starts_with(opened) && trimmed.trim_end() == fence => {
                open = None;
            }
            _ => lines.push(Line {
                number: index + 1,
                text,
                code: open.map(|(_, info)| info),
            }),
        }
    }
    lines
}

/// The fence a line begins with, if it does.
fn fence(line: &str) -> Option<&str> {
    let sign = line.chars().next().filter(|sign| matches!(sign, '`' | '~'))?;
    let length = line.chars().take_while(|c| *c == sign).count();
    (length >= 3).then(|| &line[..length])
}

/// The text between backticks in a line of prose.
pub(super) fn ticked(text: &str) -> Vec<&str> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .collect()
}

/// A line of prose with what stands between backticks blanked out.
pub(super) fn without_ticked(text: &str) -> String {
    text.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_closed_only_by_its_like() {
        let page = "a\n````sh extra\n```\nb\n````\nc\n~~~\n```\n~~~\n";
        let seen: Vec<_> = lines(page)
            .iter()
            .map(|line| (line.number, line.text, line.code))
            .collect();
        let expected = [
            (1, "a", None),
            (3, "```", Some("sh extra")),
            (4, "b", Some("sh extra")),
            (6, "c", None),
            (8, "```", Some("")),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_block_that_is_never_closed_ends_with_the_page() {
        assert!(lines("```\na\nb").iter().all(|line| line.code == Some("")));
        assert!(lines("").is_empty());
    }

    #[test]
    fn ticks_without_a_partner_are_no_panic() {
        assert_eq!(ticked("a `b` and `c"), ["b", "c"]);
        assert!(ticked("none").is_empty());
        assert_eq!(without_ticked("a `b` c"), "a   c");
    }
}
