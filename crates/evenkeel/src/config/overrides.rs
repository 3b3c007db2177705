//! Fields from the environment.

use toml::{Table, Value};

/// What a variable begins with; then the tables and the field, with two underscores between them.
const PREFIX: &str = "EVENKEEL__";

/// The path of a variable of ours: `["pool", "max_connections"]` for `EVENKEEL__POOL__MAX_CONNECTIONS`.
pub(super) fn path(variable: &str) -> Option<Vec<String>> {
    let rest = variable.strip_prefix(PREFIX)?;
    Some(rest.split("__").map(str::to_lowercase).collect())
}

/// Sets the field at `path`. The text is a TOML value (`32`, `true`, `["a"]`) or else a string.
pub(super) fn set(table: &mut Table, path: &[String], text: &str) -> Result<(), String> {
    let Some((field, tables)) = path.split_last() else {
        return Err("names no field".to_owned());
    };
    let mut table = table;
    for name in tables {
        let inner = table
            .entry(name.as_str())
            .or_insert_with(|| Value::Table(Table::new()));
        table = inner
            .as_table_mut()
            .ok_or_else(|| format!("`{name}` is no table"))?;
    }
    table.insert(field.clone(), value(text));
    Ok(())
}

fn value(text: &str) -> Value {
    let document: Result<Table, _> = format!("value = {text}").parse();
    document
        .ok()
        .filter(|document| document.len() == 1)
        .and_then(|mut document| document.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_toml_where_it_can_be_and_text_where_not() {
        assert_eq!(value("32"), Value::Integer(32));
        assert_eq!(value("false"), Value::Boolean(false));
        assert_eq!(value("250ms"), Value::String("250ms".to_owned()));
        assert_eq!(value("\"32\""), Value::String("32".to_owned()));
        // What looks like a second field is not one.
        assert_eq!(value("1\nother = 2"), Value::String("1\nother = 2".to_owned()));
    }

    #[test]
    fn only_variables_of_ours_are_looked_at() {
        assert_eq!(
            path("EVENKEEL__POOL__MAX_CONNECTIONS"),
            Some(vec!["pool".into(), "max_connections".into()])
        );
        assert_eq!(path("EVENKEEL_HOME"), None);
        assert_eq!(path("PATH"), None);
    }
}
