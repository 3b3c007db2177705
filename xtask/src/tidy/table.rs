//! Markdown tables with a known header.

use super::markdown;

/// One row below the header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Its line.
    pub(super) line: usize,
    /// Its cells, trimmed.
    pub(super) cells: Vec<String>,
}

/// The rows of every table whose header is exactly `header`.
pub(super) fn rows(page: &str, header: &[&str]) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut inside = false;
    for line in markdown::lines(page) {
        let cells = (line.code.is_none()).then(|| cells(line.text)).flatten();
        match cells {
            None => inside = false,
            Some(cells) if !inside => inside = cells == header,
            Some(cells)
                if cells
                    .iter()
                    .all(|cell| !cell.is_empty() && cell.chars().all(|c| matches!(c, '-' | ':'))) => {}
            Some(cells) => rows.push(Row {
                line: line.number,
                cells,
            }),
        }
    }
    rows
}

/// The cells of a line `| a | b |`; `\|` is a bar inside a cell.
fn cells(line: &str) -> Option<Vec<String>> {
    let line = line.trim().strip_prefix('|')?;
    let line = line.replace("\\|", "\u{0}");
    let line = line.strip_suffix('|').unwrap_or(&line);
    Some(
        line.split('|')
            .map(|cell| cell.trim().replace('\u{0}', "|"))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tables_with_the_header_are_read() {
        let page = "| a | b |\n|---|:-:|\n| 1 | 2 \\| 3 |\n\n| c | d |\n|---|---|\n| 4 | 5 |\n\n|a|b|\n|-|-|\n|6||\n```\n| a | b |\n| 7 | 8 |\n```\n";
        let found: Vec<_> = rows(page, &["a", "b"])
            .into_iter()
            .map(|row| (row.line, row.cells.join("/")))
            .collect();
        assert_eq!(found, [(3, "1/2 | 3".to_owned()), (11, "6/".to_owned())]);
    }
}
