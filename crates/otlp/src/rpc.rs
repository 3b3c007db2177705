//! `google.rpc.Status` in every form in which OTLP has it: what the client reads and a server writes.

mod code;
mod delay;
mod headers;
mod http_status;
mod json;
mod proto;
mod status;

pub use code::Code;
pub use delay::retry_after;
pub use headers::{GRPC_MESSAGE, GRPC_STATUS, GRPC_STATUS_DETAILS};
pub use status::{RpcStatus, StatusError};

pub(crate) use proto::{Reader, Value, put_bytes, put_varint};

#[cfg(test)]
mod tests;
