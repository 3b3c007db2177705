//! Where in a file a field is.

use toml::de::{DeTable, DeValue};

/// Line and column, both from 1, of a byte of the text.
pub(super) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    (line, column)
}

/// The line of a field such as `pool.max_connections` or `backends[1].weight`. If it is not in the text,
/// because it is a default, the line of the last table on the way that is.
pub(super) fn line_of(text: &str, field: &str) -> Option<usize> {
    let table = DeTable::parse(text).ok()?.into_inner();
    let root = DeValue::Table(table);
    let (mut value, mut at) = (&root, None);
    for step in field.split(['.', '[']) {
        let next = match (value, step.strip_suffix(']')) {
            (DeValue::Array(array), Some(index)) => {
                index.parse().ok().and_then(|index: usize| array.get(index))
            }
            (DeValue::Table(table), None) => table.get(step),
            _ => None,
        };
        let Some(next) = next else { break };
        at = Some(next.span().start);
        value = next.get_ref();
    }
    at.map(|at| line_and_column(text, at).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "[pool]\nmax_connections = 3\n\n[[backends]]\naddress = \"a:1\"\n\n[[backends]]\nweight = 0\n";

    #[test]
    fn a_field_is_found_in_its_table_and_in_arrays() {
        assert_eq!(line_of(TEXT, "pool.max_connections"), Some(2));
        assert_eq!(line_of(TEXT, "backends[0].address"), Some(5));
        assert_eq!(line_of(TEXT, "backends[1].weight"), Some(8));
    }

    #[test]
    fn a_field_that_is_not_written_is_told_at_its_table() {
        assert_eq!(line_of(TEXT, "pool.idle_timeout"), Some(1));
        assert_eq!(line_of(TEXT, "io.connect_timeout"), None);
    }
}
