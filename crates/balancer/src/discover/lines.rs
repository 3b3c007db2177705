//! A list of backends as lines of text.

use std::str::FromStr;

use thiserror::Error;

use crate::BackendServer;

/// A line that is no backend.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, {field}: {reason}")]
#[non_exhaustive]
pub struct LineError {
    /// Its number, from 1.
    pub line: usize,
    /// The field that makes no sense.
    pub field: String,
    /// Why.
    pub reason: String,
}

/// Reads backends from text, one to a line: what it carries, then `weight=`, `zone=`, `priority=` and
/// `id=` in any order. What follows a `#` and lines with nothing on them are passed over.
///
/// ```
/// use evenkeel_balancer::parse_lines;
///
/// let backends = parse_lines::<String>("10.0.0.1:4317 weight=3 zone=a # the big one\n10.0.0.2:4317")?;
/// assert_eq!(backends[0].weight(), 3);
/// let error = parse_lines::<String>("10.0.0.1:4317\n10.0.0.2:4317 weight=much").unwrap_err();
/// assert_eq!(error.to_string(), "line 2, weight: \"much\" is no number from 0 to 4294967295");
/// # Ok::<(), evenkeel_balancer::LineError>(())
/// ```
///
/// # Errors
/// [`LineError`] names the line and the field.
pub fn parse_lines<B>(text: &str) -> Result<Vec<BackendServer<B>>, LineError>
where
    B: FromStr<Err: std::fmt::Display>,
{
    let lines = (1..).zip(text.lines());
    lines
        .filter_map(|(line, text)| parse(line, text).transpose())
        .collect()
}

fn parse<B>(line: usize, text: &str) -> Result<Option<BackendServer<B>>, LineError>
where
    B: FromStr<Err: std::fmt::Display>,
{
    let wrong = |field: &str, reason: String| LineError {
        line,
        field: field.to_owned(),
        reason,
    };
    let text = text.split('#').next().unwrap_or_default();
    let mut words = text.split_whitespace();
    let Some(backend) = words.next() else {
        return Ok(None);
    };
    let payload = backend.parse::<B>();
    let payload = payload.map_err(|error| wrong("backend", format!("{backend:?}: {error}")))?;
    let mut server = BackendServer::new(backend, payload);
    for word in words {
        let (field, value) = word
            .split_once('=')
            .ok_or_else(|| wrong(word, "must be field=value".to_owned()))?;
        let number = || {
            let parsed = value.parse::<u32>();
            parsed.map_err(|_| wrong(field, format!("{value:?} is no number from 0 to {}", u32::MAX)))
        };
        server = match field {
            "weight" => server.with_weight(number()?),
            "priority" => server.with_priority(number()?),
            "zone" => server.with_zone(value),
            "id" => BackendServer {
                id: value.into(),
                ..server
            },
            _ => return Err(wrong(field, "known are id, weight, zone and priority".to_owned())),
        };
    }
    Ok(Some(server))
}
