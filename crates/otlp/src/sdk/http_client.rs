//! [`OtlpHttpClient`]: the client as the HTTP client of `opentelemetry-otlp`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use opentelemetry_http::{HttpClient, HttpError};
use thiserror::Error;

use super::runtime::Runtime;
use crate::{Accepted, Compression, Encoding, Export, SendError, Signal};

/// What `opentelemetry-otlp`'s HTTP exporters take by `with_http_client`.
///
/// Of a request it takes the body, its type and its compression, and the signal by the end of the path
/// (`v1/traces`, `v1/metrics`, `v1/logs`). Host, the rest of the path and all other headers are not passed
/// on: those of the client's collectors count, where a secret header reaches only whom it is meant for.
///
/// What came of it is told as one collector would tell it: 200 with a partial success, or a status by the
/// specification's table with `Retry-After` and a `google.rpc.Status`.
#[derive(Clone, Debug)]
pub struct OtlpHttpClient(Arc<Runtime>);

/// A request that is none of OTLP's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HttpClientError {
    /// The path does not say which signal it is.
    #[error("no signal by the path {path}: it must end in v1/traces, v1/metrics or v1/logs")]
    Path {
        /// The path.
        path: String,
    },
    /// The body is neither protobuf nor JSON, or compressed in a way that is not known.
    #[error("{header}: {value}")]
    Header {
        /// Which header says so.
        header: &'static str,
        /// What it says.
        value: String,
    },
}

impl OtlpHttpClient {
    pub(super) const fn new(runtime: Arc<Runtime>) -> Self {
        Self(runtime)
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let export = read(request)?;
        let (signal, encoding) = (export.signal(), export.encoding());
        Ok(answer(&self.0.send(export).await, signal, encoding))
    }
}

impl HttpClient for OtlpHttpClient {
    fn send_bytes<'client, 'future>(
        &'client self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'future>>
    where
        'client: 'future,
        Self: 'future,
    {
        Box::pin(self.send(request))
    }
}

fn read(request: Request<Bytes>) -> Result<Export, HttpClientError> {
    let path = request.uri().path().trim_end_matches('/');
    let ends = |signal: &Signal| path.ends_with(&format!("v1/{}", signal.as_str()));
    let Some(signal) = Signal::ALL.into_iter().find(ends) else {
        let path = path.to_owned();
        return Err(HttpClientError::Path { path });
    };
    let encoding = by_header(
        request.headers(),
        &CONTENT_TYPE,
        "content-type",
        Encoding::from_media_type,
    )?;
    let compression = by_header(
        request.headers(),
        &CONTENT_ENCODING,
        "content-encoding",
        Compression::from_header,
    )?;
    Ok(Export::new(
        signal,
        encoding.unwrap_or_default(),
        compression.unwrap_or_default(),
        request.into_body(),
    ))
}

/// What a header says; `None` if it is not there.
fn by_header<T>(
    headers: &HeaderMap,
    name: &HeaderName,
    header: &'static str,
    read: fn(&str) -> Option<T>,
) -> Result<Option<T>, HttpClientError> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let known = value.to_str().ok().and_then(read);
    known.map(Some).ok_or_else(|| HttpClientError::Header {
        header,
        value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
    })
}

fn answer(result: &Result<Accepted, SendError>, signal: Signal, encoding: Encoding) -> Response<Bytes> {
    let (status, body, wait) = match result {
        Ok(accepted) => {
            let partial = accepted.partial.clone().unwrap_or_default();
            (StatusCode::OK, partial.encode_response(signal, encoding), None)
        }
        Err(error) => {
            let status = error.status();
            let code =
                StatusCode::from_u16(status.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let body = match encoding {
                Encoding::Protobuf => status.encode_protobuf(),
                Encoding::Json => status.encode_json().into_bytes(),
            };
            (code, body, error.retry_after())
        }
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(encoding.media_type()));
    if let Some(wait) = wait {
        // Whole seconds, and not before.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
