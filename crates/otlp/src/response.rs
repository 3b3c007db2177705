//! [`Accepted`] and [`PartialSuccess`]: what a collector that took a request says.

use evenkeel::balancer::BackendId;
use evenkeel_otlp_wire::Signal;
use serde_json::{Value as Json, json};

use crate::Encoding;
use crate::rpc::{Reader, StatusError, Value, put_bytes, put_varint};

/// A request was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// By whom.
    pub backend: BackendId,
    /// What the collector says beside that: it took only a part, or it has a warning. Must not be sent again.
    pub partial: Option<PartialSuccess>,
    /// How many attempts it took, hedges included. 1 if all is well.
    pub attempts: u32,
}

/// A collector took the request and rejected some of its items, or has a warning.
///
/// By the specification the client must not send it again; what was rejected is lost, and to be counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartialSuccess {
    /// How many spans, data points or log records were rejected. 0: none, and `message` is a warning.
    pub rejected: i64,
    /// Why, for developers, in English.
    pub message: String,
}

// Export…ServiceResponse
const PARTIAL_SUCCESS: u32 = 1;
// Export…PartialSuccess
const REJECTED: u32 = 1;
const MESSAGE: u32 = 2;

impl PartialSuccess {
    /// So many rejected, for this reason.
    #[must_use]
    pub fn new(rejected: i64, message: impl Into<String>) -> Self {
        Self {
            rejected,
            message: message.into(),
        }
    }

    /// Whether it says nothing: a full success, for which the specification wants none to be sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rejected == 0 && self.message.is_empty()
    }

    /// The response to an export that has this in it; the response of a full success if it is empty.
    #[must_use]
    pub fn encode_response(&self, signal: Signal, encoding: Encoding) -> Vec<u8> {
        match encoding {
            Encoding::Json if self.is_empty() => b"{}".to_vec(),
            Encoding::Json => {
                // Protobuf's mapping writes an int64 as a string.
                let rejected = self.rejected.to_string();
                let partial = json!({ json_field(signal): rejected, "errorMessage": self.message });
                json!({ "partialSuccess": partial }).to_string().into_bytes()
            }
            Encoding::Protobuf if self.is_empty() => Vec::new(),
            Encoding::Protobuf => {
                let mut partial = Vec::with_capacity(self.message.len() + 16);
                put_varint(&mut partial, REJECTED, self.rejected.cast_unsigned());
                if !self.message.is_empty() {
                    put_bytes(&mut partial, MESSAGE, self.message.as_bytes());
                }
                let mut response = Vec::with_capacity(partial.len() + 8);
                put_bytes(&mut response, PARTIAL_SUCCESS, &partial);
                response
            }
        }
    }

    /// What the response to an export says; `None` of a full success. Unknown fields are passed over.
    ///
    /// # Errors
    /// [`StatusError`]: it is not such a response.
    pub fn decode_response(
        signal: Signal,
        encoding: Encoding,
        response: &[u8],
    ) -> Result<Option<Self>, StatusError> {
        // The usual one.
        if response.is_empty() {
            return Ok(None);
        }
        let partial = match encoding {
            Encoding::Json => decode_json(signal, response)?,
            Encoding::Protobuf => decode_protobuf(response)?,
        };
        Ok(Some(partial).filter(|partial| !partial.is_empty()))
    }
}

fn decode_protobuf(response: &[u8]) -> Result<PartialSuccess, StatusError> {
    let mut partial = PartialSuccess::default();
    let mut fields = Reader::new(response);
    while let Some((field, value)) = fields.next()? {
        let (PARTIAL_SUCCESS, Value::Bytes(inner)) = (field, value) else {
            continue;
        };
        let mut fields = Reader::new(inner);
        while let Some((field, value)) = fields.next()? {
            match (field, value) {
                (REJECTED, Value::Varint(rejected)) => partial.rejected = rejected.cast_signed(),
                (MESSAGE, Value::Bytes(message)) => {
                    partial.message = String::from_utf8_lossy(message).into_owned();
                }
                (REJECTED | MESSAGE, _) => return Err(fields.here().into()),
                _ => {}
            }
        }
    }
    Ok(partial)
}

fn decode_json(signal: Signal, response: &[u8]) -> Result<PartialSuccess, StatusError> {
    let json: Json = serde_json::from_slice(response).map_err(|error| StatusError::Json {
        reason: error.to_string(),
    })?;
    let partial = json.get("partialSuccess").filter(|partial| !partial.is_null());
    let Some(partial) = partial else {
        return Ok(PartialSuccess::default());
    };
    let malformed = |field: &str| StatusError::Json {
        reason: format!("{field} is not what it should be"),
    };
    let field = |name| partial.get(name).filter(|value| !value.is_null());
    let rejected = match field(json_field(signal)) {
        None => Some(0),
        Some(Json::String(number)) => number.parse().ok(),
        Some(number) => number.as_i64(),
    };
    let message = match field("errorMessage") {
        None => Some(""),
        Some(message) => message.as_str(),
    };
    // Not taken for nothing: what was rejected is lost, and to be counted.
    Ok(PartialSuccess {
        rejected: rejected.ok_or_else(|| malformed(json_field(signal)))?,
        message: message.ok_or_else(|| malformed("errorMessage"))?.to_owned(),
    })
}

const fn json_field(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Metrics => "rejectedDataPoints",
        Signal::Logs => "rejectedLogRecords",
        _ => "rejectedProfiles",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_success_comes_back_as_it_was() {
        let cases = [
            PartialSuccess::new(3, "too old"),
            PartialSuccess::new(0, "the field x is deprecated"),
            PartialSuccess::new(i64::MAX, ""),
        ];
        for signal in Signal::ALL {
            for encoding in [Encoding::Protobuf, Encoding::Json] {
                for partial in &cases {
                    let response = partial.encode_response(signal, encoding);
                    let read = PartialSuccess::decode_response(signal, encoding, &response);
                    assert_eq!(read.unwrap().as_ref(), Some(partial));
                }
                let full = PartialSuccess::default().encode_response(signal, encoding);
                let read = PartialSuccess::decode_response(signal, encoding, &full);
                assert_eq!(read.unwrap(), None);
            }
        }
    }

    #[test]
    fn a_count_that_is_none_is_not_taken_for_nothing() {
        let read = |rejected: &str| {
            let response = format!(r#"{{"partialSuccess":{{"rejectedSpans":{rejected}}}}}"#);
            PartialSuccess::decode_response(Signal::Traces, Encoding::Json, response.as_bytes())
        };
        for good in ["7", "\"7\""] {
            assert_eq!(read(good).unwrap().unwrap().rejected, 7, "{good}");
        }
        assert_eq!(read("null").unwrap(), None);
        for bad in ["\"abc\"", "5.5", "true", "[]", "\"9223372036854775808\""] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains("rejectedSpans"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_response_that_is_none_is_an_error() {
        for (encoding, bad) in [
            (Encoding::Protobuf, &b"\x0a\x7f"[..]),
            // A count of another type.
            (Encoding::Protobuf, &b"\x0a\x03\x0a\x01x"[..]),
            (Encoding::Json, &b"{"[..]),
            (Encoding::Json, &br#"{"partialSuccess":{"errorMessage":7}}"#[..]),
        ] {
            let read = PartialSuccess::decode_response(Signal::Logs, encoding, bad);
            assert!(read.is_err(), "{encoding:?}");
        }
    }
}
