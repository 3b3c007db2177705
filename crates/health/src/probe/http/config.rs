//! [`HttpProbeConfig`].

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::ConfigError;
use crate::error::Check;
use crate::probe::wire::{headers_of, is_authority, is_path};

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum HttpVersion {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2, without asking first: over TLS the connection should offer `h2` by ALPN.
    Http2,
}

/// Status codes that are a good answer: `"204"` or `"200-299"` as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "String", into = "String")
)]
pub struct StatusRange {
    first: u16,
    last: u16,
}

/// What a server may end a request with.
const FINAL: RangeInclusive<u16> = 200..=999;

impl StatusRange {
    /// Any 2xx.
    pub const SUCCESS: Self = Self {
        first: 200,
        last: 299,
    };

    /// The codes from `first` to `last`, both included.
    ///
    /// # Errors
    /// If it is empty, or a code is not a final status, 200 to 999.
    pub fn new(first: u16, last: u16) -> Result<Self, ConfigError> {
        let possible = first <= last && FINAL.contains(&first) && FINAL.contains(&last);
        Check("HttpProbeConfig").that(possible, "expected_status", format!("{first}-{last}"), EXPECTED)?;
        Ok(Self { first, last })
    }

    /// Whether `status` is one of them.
    #[must_use]
    pub const fn contains(&self, status: u16) -> bool {
        self.first <= status && status <= self.last
    }
}

const EXPECTED: &str = "a status or a range such as 200-299, within 200 to 999";

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.first < self.last {
            write!(f, "-{}", self.last)?;
        }
        Ok(())
    }
}

impl FromStr for StatusRange {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) => Self::new(first, last),
            _ => Err(Check("HttpProbeConfig").out_of_range("expected_status", text, EXPECTED)),
        }
    }
}

impl TryFrom<String> for StatusRange {
    type Error = ConfigError;

    fn try_from(text: String) -> Result<Self, ConfigError> {
        text.parse()
    }
}

impl From<StatusRange> for String {
    fn from(range: StatusRange) -> Self {
        range.to_string()
    }
}

/// What an [`HttpProbe`](crate::HttpProbe) asks, and what is a good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct HttpProbeConfig {
    /// The path that is got, with a query if there is one. Begins with a slash; `/health` by default.
    pub health_check_path: String,
    /// HTTP/1.1 by default.
    pub version: HttpVersion,
    /// A good answer has a status in one of these. Not empty; 200 to 299 by default. A redirect is
    /// answered by no other request: it is good only if 3xx is among them.
    pub expected_status: Vec<StatusRange>,
    /// The host that is asked for, with a port if it matters. The target's own by default.
    pub host: Option<String>,
    /// More headers, by name. Not `host`, nor those that are the connection's business. None by default.
    pub headers: BTreeMap<String, String>,
    /// A good answer's body contains this text. Not empty; no such demand by default.
    pub body_contains: Option<String>,
    /// So much of a body is read, in bytes, and no more. At least 1, at least what `body_contains` is
    /// long; 64 KiB by default. A body that is longer is no fault.
    pub max_body: usize,
    /// Whether the connections are TLS, which HTTP/2 tells the server (as its scheme). `false` by default.
    pub https: bool,
}

impl Default for HttpProbeConfig {
    fn default() -> Self {
        Self {
            health_check_path: "/health".to_owned(),
            version: HttpVersion::Http1,
            expected_status: vec![StatusRange::SUCCESS],
            host: None,
            headers: BTreeMap::new(),
            body_contains: None,
            max_body: 64 * 1024,
            https: false,
        }
    }
}

impl HttpProbeConfig {
    /// Whether every field is in its range.
    ///
    /// # Errors
    /// Names the field that is not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = Check("HttpProbeConfig");
        let path = &self.health_check_path;
        check.that(
            is_path(path),
            "health_check_path",
            format!("{path:?}"),
            "a path that begins with a slash, percent-encoded, without a fragment",
        )?;
        check.that(
            !self.expected_status.is_empty(),
            "expected_status",
            "[]",
            EXPECTED,
        )?;
        if let Some(host) = &self.host {
            let value = format!("{host:?}");
            check.that(
                is_authority(host),
                "host",
                value,
                "a host, with or without a port",
            )?;
        }
        headers_of(&self.headers).map_err(|name| {
            check.out_of_range(
                "headers",
                name,
                "names and values that HTTP allows and the connection does not set",
            )
        })?;
        check.that(self.max_body >= 1, "max_body", self.max_body, "at least 1")?;
        let text = self.body_contains.as_deref();
        check.that(
            text.is_none_or(|text| (1..=self.max_body).contains(&text.len())),
            "body_contains",
            format!("{text:?}"),
            "not empty, and no longer than max_body",
        )
    }
}
