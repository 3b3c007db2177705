//! A status in gRPC's trailers.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};

use super::{Code, RpcStatus, StatusError};

/// The header of the code.
pub const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// The header of the message, percent-encoded.
pub const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// The header of the whole status with its details, in base64.
pub const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// gRPC pads, or does not, and takes both.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What `grpc-message` may not carry as it is: all but the printable ASCII, and the percent sign.
const RESERVED: &AsciiSet = &CONTROLS.add(b'%');

/// The longest message that is sent, in bytes of UTF-8: headers have limits.
const MAX_MESSAGE: usize = 1024;

impl RpcStatus {
    /// Writes it as the trailers of a gRPC answer.
    pub fn write_trailers(&self, trailers: &mut HeaderMap) {
        trailers.insert(GRPC_STATUS, HeaderValue::from(self.code.number()));
        let mut end = self.message.len().min(MAX_MESSAGE);
        while !self.message.is_char_boundary(end) {
            end -= 1;
        }
        let message = self.message.get(..end).unwrap_or_default();
        if !message.is_empty() {
            let encoded = utf8_percent_encode(message, RESERVED).to_string();
            // Printable ASCII by now, so always a header's value.
            if let Ok(value) = HeaderValue::try_from(encoded) {
                trailers.insert(GRPC_MESSAGE, value);
            }
        }
        if self.retry_delay.is_some() {
            let mut short = self.clone();
            short.message.truncate(end);
            if let Ok(value) = HeaderValue::try_from(BASE64.encode(short.encode_protobuf())) {
                trailers.insert(GRPC_STATUS_DETAILS, value);
            }
        }
    }

    /// Reads the trailers of a gRPC answer; `None` if there is no `grpc-status` in them.
    ///
    /// Details that can not be read are passed over: the code stands without them.
    #[must_use]
    pub fn from_trailers(trailers: &HeaderMap) -> Option<Self> {
        let number = trailers.get(GRPC_STATUS)?.to_str().ok();
        let number = number.and_then(|number| number.trim().parse().ok());
        let code = Code::from_number(number.unwrap_or(-1));
        if code == Code::Ok {
            return Some(Self::new(Code::Ok, ""));
        }
        let message = trailers.get(GRPC_MESSAGE).map(HeaderValue::as_bytes);
        let message = percent_decode(message.unwrap_or_default()).decode_utf8_lossy();
        let details = trailers.get(GRPC_STATUS_DETAILS);
        let details = details.and_then(|value| Self::from_details(value.as_bytes()).ok());
        Some(Self {
            code,
            message: message.into_owned(),
            retry_delay: details.and_then(|details| details.retry_delay),
        })
    }

    /// Reads the value of `grpc-status-details-bin`.
    ///
    /// # Errors
    /// [`StatusError`]: it is not base64, or not a status.
    pub fn from_details(value: &[u8]) -> Result<Self, StatusError> {
        let bytes = BASE64.decode(value).map_err(|_| StatusError::Base64)?;
        Self::decode_protobuf(&bytes)
    }
}
