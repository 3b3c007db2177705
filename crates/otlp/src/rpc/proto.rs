//! The few messages around OTLP that are read and written whole: a status, a partial success.

use std::time::Duration;

use super::{Code, RpcStatus, StatusError};

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

// google.rpc.Status
const CODE: u32 = 1;
const MESSAGE: u32 = 2;
const DETAILS: u32 = 3;
// google.protobuf.Any
const TYPE_URL: u32 = 1;
const VALUE: u32 = 2;
// google.rpc.RetryInfo
const RETRY_DELAY: u32 = 1;
// google.protobuf.Duration
const SECONDS: u32 = 1;
const NANOS: u32 = 2;

/// One field of a message, as far as these messages need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Of a type that none of the messages has.
    Other,
}

/// Walks the fields of one message.
pub(crate) struct Reader<'a> {
    whole: &'a [u8],
    at: usize,
}

/// Where it makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) usize);

impl From<Malformed> for StatusError {
    fn from(Malformed(position): Malformed) -> Self {
        Self::Malformed { position }
    }
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(whole: &'a [u8]) -> Self {
        Self { whole, at: 0 }
    }

    /// What is wrong is the field that was read last.
    pub(crate) const fn here(&self) -> Malformed {
        Malformed(self.at)
    }

    /// The next field; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.at == self.whole.len() {
            return Ok(None);
        }
        let start = self.at;
        let key = self.varint()?;
        let field = u32::try_from(key >> 3).map_err(|_| Malformed(start))?;
        if field == 0 {
            return Err(Malformed(start));
        }
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.skip(8)?,
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).map_err(|_| Malformed(start))?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.skip(4)?,
            // Groups are in no message that is read here, nor in any that may come of them.
            _ => return Err(Malformed(start)),
        };
        Ok(Some((field, value)))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let start = self.at;
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let &byte = self.whole.get(self.at).ok_or(Malformed(start))?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed(start))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length).ok_or(Malformed(self.at))?;
        let taken = self.whole.get(self.at..end).ok_or(Malformed(self.at))?;
        self.at = end;
        Ok(taken)
    }

    fn skip(&mut self, length: usize) -> Result<Value<'a>, Malformed> {
        self.take(length).map(|_| Value::Other)
    }
}

/// Writes a field of type varint, unless it is zero.
pub(crate) fn put_varint(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        varint(out, u64::from(field << 3));
        varint(out, value);
    }
}

/// Writes a field of bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    varint(out, u64::from(field << 3 | 2));
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// An int32 or int64 as it is on the wire: negative numbers take all ten bytes.
fn signed(value: u64) -> i64 {
    value.cast_signed()
}

impl RpcStatus {
    /// As protobuf: the body of an OTLP/HTTP error, and what is in `grpc-status-details-bin`.
    #[must_use]
    pub fn encode_protobuf(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.message.len() + 80);
        put_varint(&mut out, CODE, u64::from(self.code.number().unsigned_abs()));
        if !self.message.is_empty() {
            put_bytes(&mut out, MESSAGE, self.message.as_bytes());
        }
        if let Some(delay) = self.retry_delay {
            let mut duration = Vec::with_capacity(16);
            // What does not fit would be no Duration: a hundred centuries do.
            put_varint(&mut duration, SECONDS, delay.as_secs().min(MAX_SECONDS));
            put_varint(&mut duration, NANOS, u64::from(delay.subsec_nanos()));
            let mut info = Vec::with_capacity(18);
            put_bytes(&mut info, RETRY_DELAY, &duration);
            let mut any = Vec::with_capacity(64);
            put_bytes(&mut any, TYPE_URL, RETRY_INFO.as_bytes());
            put_bytes(&mut any, VALUE, &info);
            put_bytes(&mut out, DETAILS, &any);
        }
        out
    }

    /// From protobuf. Fields and details that are not known are passed over.
    ///
    /// # Errors
    /// [`StatusError::Malformed`] with the position.
    pub fn decode_protobuf(bytes: &[u8]) -> Result<Self, StatusError> {
        let mut status = Self {
            code: Code::Ok,
            ..Self::default()
        };
        let mut fields = Reader::new(bytes);
        while let Some((field, value)) = fields.next()? {
            match (field, value) {
                (CODE, Value::Varint(code)) => {
                    let code = i32::try_from(signed(code)).unwrap_or(-1);
                    status.code = Code::from_number(code);
                }
                (MESSAGE, Value::Bytes(message)) => {
                    status.message = String::from_utf8_lossy(message).into_owned();
                }
                (DETAILS, Value::Bytes(any)) => {
                    if let Some(delay) = retry_info(any)? {
                        status.retry_delay = Some(delay);
                    }
                }
                (CODE | MESSAGE | DETAILS, _) => return Err(fields.here().into()),
                _ => {}
            }
        }
        Ok(status)
    }
}

/// The longest `google.protobuf.Duration`: ten thousand years.
pub(super) const MAX_SECONDS: u64 = 315_576_000_000;

/// The wait in an `Any`, if it holds a `RetryInfo`.
fn retry_info(any: &[u8]) -> Result<Option<Duration>, Malformed> {
    let (mut url, mut info): (&[u8], &[u8]) = (&[], &[]);
    let mut fields = Reader::new(any);
    while let Some((field, value)) = fields.next()? {
        match (field, value) {
            (TYPE_URL, Value::Bytes(value)) => url = value,
            (VALUE, Value::Bytes(value)) => info = value,
            _ => {}
        }
    }
    // Only what is after the last slash names the type.
    if url.rsplit(|&byte| byte == b'/').next() != RETRY_INFO.as_bytes().rsplit(|&byte| byte == b'/').next() {
        return Ok(None);
    }
    // A RetryInfo without a delay asks to retry, and for no wait.
    let (mut seconds, mut nanos) = (0, 0);
    let mut fields = Reader::new(info);
    while let Some((field, value)) = fields.next()? {
        let (RETRY_DELAY, Value::Bytes(duration)) = (field, value) else {
            continue;
        };
        (seconds, nanos) = (0, 0);
        let mut fields = Reader::new(duration);
        while let Some((field, value)) = fields.next()? {
            match (field, value) {
                (SECONDS, Value::Varint(value)) => seconds = signed(value),
                (NANOS, Value::Varint(value)) => nanos = signed(value),
                _ => {}
            }
        }
    }
    Ok(Some(duration(seconds, nanos)))
}

/// A duration as protobuf has it. A negative one is none; more than there can be is the most.
fn duration(seconds: i64, nanos: i64) -> Duration {
    let seconds = u64::try_from(seconds).unwrap_or(0).min(MAX_SECONDS);
    let nanos = u32::try_from(nanos).unwrap_or(0).min(999_999_999);
    Duration::new(seconds, nanos)
}
