//! [`Encoding`], [`Compression`] and [`Protocol`]: the forms in which a request travels.

use std::fmt;
use std::str::FromStr;

use http::HeaderValue;

use crate::ExportError;

/// How a request is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// Binary protobuf. The default, and all that gRPC carries.
    #[default]
    Protobuf,
    /// Protobuf's mapping to JSON, as OTLP has it; over HTTP only.
    Json,
}

impl Encoding {
    /// Its media type in HTTP.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }

    /// The encoding that a `Content-Type` names, its parameters passed over.
    #[must_use]
    pub fn from_media_type(value: &str) -> Option<Self> {
        let media = value.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case("application/x-protobuf") {
            Some(Self::Protobuf)
        } else if media.eq_ignore_ascii_case("application/json") {
            Some(Self::Json)
        } else {
            None
        }
    }
}

/// How the bytes of a request are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all. The default.
    #[default]
    None,
    /// gzip: every OTLP server takes it.
    Gzip,
    /// Zstandard: a fifteenth of gzip's time for about the same size. Not every server takes it. To compress
    /// and decompress takes the feature `zstd`; bytes that are compressed already pass without it.
    Zstd,
}

impl Compression {
    /// Its name in headers, files and the environment.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The compression that a `Content-Encoding` or `grpc-encoding` names; `identity` is none.
    #[must_use]
    pub fn from_header(value: &str) -> Option<Self> {
        match value.trim() {
            value if value.eq_ignore_ascii_case("identity") || value.is_empty() => Some(Self::None),
            value if value.eq_ignore_ascii_case("gzip") || value.eq_ignore_ascii_case("x-gzip") => {
                Some(Self::Gzip)
            }
            value if value.eq_ignore_ascii_case("zstd") => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Whether this build compresses and decompresses it.
    #[must_use]
    pub const fn is_built_in(self) -> bool {
        match self {
            Self::None | Self::Gzip => true,
            Self::Zstd => cfg!(feature = "zstd"),
        }
    }

    /// What headers say of it; `None` if nothing is to be said.
    pub(crate) const fn header(self) -> Option<HeaderValue> {
        match self {
            Self::None => None,
            Self::Gzip | Self::Zstd => Some(HeaderValue::from_static(self.as_str())),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads the names that [`as_str`](Compression::as_str) writes.
impl FromStr for Compression {
    type Err = ExportError;

    fn from_str(name: &str) -> Result<Self, ExportError> {
        match name {
            "none" => Ok(Self::None),
            "gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            _ => Err(ExportError::UnknownCompression {
                name: name.to_owned(),
            }),
        }
    }
}

/// How a collector is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Protocol {
    /// gRPC over HTTP/2; all requests to a collector share a connection. The default. Port 4317, mostly.
    #[default]
    #[cfg_attr(feature = "serde", serde(rename = "grpc"))]
    Grpc,
    /// HTTP/1.1; each request has a connection while it is under way. Port 4318, mostly. A request that came
    /// as JSON goes on as JSON.
    #[cfg_attr(feature = "serde", serde(rename = "http/protobuf"))]
    HttpProtobuf,
}

impl Protocol {
    /// Its name in files and the environment.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
