//! `google.rpc.Status` as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::proto::MAX_SECONDS;
use super::{Code, RpcStatus, StatusError};

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

impl RpcStatus {
    /// As JSON, by protobuf's mapping: the body of an OTLP/HTTP error to a client that sent JSON.
    #[must_use]
    pub fn encode_json(&self) -> String {
        let mut status = json!({ "code": self.code.number(), "message": self.message });
        if let Some(delay) = self.retry_delay {
            let seconds = delay.as_secs().min(MAX_SECONDS);
            let delay = match delay.subsec_nanos() {
                0 => format!("{seconds}s"),
                nanos => format!("{seconds}.{nanos:09}s"),
            };
            status["details"] = json!([{ "@type": RETRY_INFO, "retryDelay": delay }]);
        }
        status.to_string()
    }

    /// From JSON. Fields and details that are not known are passed over.
    ///
    /// # Errors
    /// [`StatusError::Json`] says what is wrong.
    pub fn decode_json(bytes: &[u8]) -> Result<Self, StatusError> {
        let refuse = |reason: &str| StatusError::Json {
            reason: reason.to_owned(),
        };
        let json: Value = serde_json::from_slice(bytes).map_err(|error| StatusError::Json {
            reason: error.to_string(),
        })?;
        let fields = json.as_object().ok_or_else(|| refuse("it is not an object"))?;
        let code = match fields.get("code") {
            None | Some(Value::Null) => 0,
            Some(code) => code.as_i64().ok_or_else(|| refuse("code is not a number"))?,
        };
        let message = match fields.get("message") {
            None | Some(Value::Null) => "",
            Some(message) => message
                .as_str()
                .ok_or_else(|| refuse("message is not a string"))?,
        };
        let details = fields.get("details").and_then(Value::as_array);
        let mut infos = details.into_iter().flatten().filter(|detail| {
            let kind = detail.get("@type").and_then(Value::as_str);
            kind.and_then(|kind| kind.rsplit('/').next()) == Some("google.rpc.RetryInfo")
        });
        let retry_delay = match infos.next_back() {
            None => None,
            Some(info) => match info.get("retryDelay") {
                None => Some(Duration::ZERO),
                Some(delay) => {
                    let parsed = delay.as_str().and_then(parse_duration);
                    Some(parsed.ok_or_else(|| refuse("retryDelay is not a duration"))?)
                }
            },
        };
        Ok(Self {
            code: Code::from_number(i32::try_from(code).unwrap_or(-1)),
            message: message.to_owned(),
            retry_delay,
        })
    }
}

/// Reads `"1.5s"`, with up to nine decimals. A negative one is none.
fn parse_duration(text: &str) -> Option<Duration> {
    let number = text.strip_suffix('s')?;
    let (negative, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number),
    };
    let (seconds, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let seconds = seconds.parse().unwrap_or(u64::MAX).min(MAX_SECONDS);
    let nanos: u32 = format!("{fraction:0<9}").parse().ok()?;
    Some(if negative {
        Duration::ZERO
    } else {
        Duration::new(seconds, nanos)
    })
}
