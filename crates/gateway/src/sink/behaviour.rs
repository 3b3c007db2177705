//! How a sink treats requests, and how that is written.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use evenkeel_otlp::rpc::Code;

/// How a sink treats requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Behaviour {
    /// How long each request waits for its answer.
    pub(crate) latency: Duration,
    /// What the answer is.
    pub(crate) answer: Answer,
}

/// What a sink answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Success.
    #[default]
    Accept,
    /// Nothing, until the behaviour changes.
    Hang,
    /// An error.
    Fail(Code),
    /// `UNAVAILABLE` with the time to wait.
    Throttle(Duration),
    /// Success but for so many items.
    Partial(u32),
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.answer {
            Answer::Accept => f.write_str("well")?,
            Answer::Hang => f.write_str("hang")?,
            Answer::Fail(code) => write!(f, "fail={code}")?,
            Answer::Throttle(wait) => write!(f, "throttle={}ms", wait.as_millis())?,
            Answer::Partial(rejected) => write!(f, "partial={rejected}")?,
        }
        if self.latency.is_zero() {
            return Ok(());
        }
        write!(f, ",latency={}ms", self.latency.as_millis())
    }
}

impl FromStr for Behaviour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut behaviour = Self::default();
        let mut answered = false;
        for word in text.trim().split(',') {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, None),
            };
            if name != "latency" {
                if answered {
                    return Err(format!("'{word}': one answer is enough"));
                }
                answered = true;
            }
            match (name, value) {
                ("latency", Some(value)) => behaviour.latency = time(value)?,
                ("well", None) => behaviour.answer = Answer::Accept,
                ("hang", None) => behaviour.answer = Answer::Hang,
                ("fail", Some(value)) => behaviour.answer = Answer::Fail(code(value)?),
                ("throttle", Some(value)) => behaviour.answer = Answer::Throttle(time(value)?),
                ("partial", Some(value)) => {
                    let count = value.parse();
                    let count = count.map_err(|_| format!("'{value}' is no number of items"))?;
                    behaviour.answer = Answer::Partial(count);
                }
                _ => {
                    return Err(format!(
                        "'{word}' is none of well, hang, fail=CODE, throttle=TIME, partial=COUNT, latency=TIME"
                    ));
                }
            }
        }
        Ok(behaviour)
    }
}

/// A time as people write it.
fn time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|e| format!("'{text}' is no time, such as 200ms: {e}"))
}

/// A code that is an error.
fn code(text: &str) -> Result<Code, String> {
    let known = Code::ALL.into_iter().filter(|&code| code != Code::Ok);
    let found = known
        .clone()
        .find(|code| code.as_str().eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let names: Vec<&str> = known.map(Code::as_str).collect();
        format!("'{text}' is no error of gRPC; those are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_behaviour_is_read_as_it_is_written() {
        for text in [
            "well",
            "hang",
            "well,latency=200ms",
            "fail=UNAVAILABLE",
            "fail=INVALID_ARGUMENT,latency=5ms",
            "throttle=1500ms",
            "partial=3",
        ] {
            assert_eq!(text.parse::<Behaviour>().unwrap().to_string(), text);
        }
        let latency = "latency=1s".parse::<Behaviour>().unwrap();
        assert_eq!(latency.to_string(), "well,latency=1000ms");
    }

    #[test]
    fn nonsense_says_what_there_is() {
        for (text, says) in [
            ("merry", "throttle=TIME"),
            ("", "throttle=TIME"),
            ("hang,well", "one answer"),
            ("fail=OK", "UNAVAILABLE"),
            ("fail=nonsense", "UNAVAILABLE"),
            ("throttle=soon", "200ms"),
            ("partial=-1", "number of items"),
            ("latency", "latency=TIME"),
        ] {
            let error = text.parse::<Behaviour>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
