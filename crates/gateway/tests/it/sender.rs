//! Clients: gRPC, HTTP and raw bytes.

use std::net::SocketAddr;

use bytes::Bytes;
use evenkeel_otlp::rpc::{Code, RpcStatus};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
pub(crate) const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// An answer to a gRPC call.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) http: u16,
    pub(crate) status: RpcStatus,
    /// The message, without its prefix.
    pub(crate) message: Bytes,
}

/// A message with its prefix.
pub(crate) fn framed(compressed: bool, message: &[u8]) -> Vec<u8> {
    let mut framed = vec![u8::from(compressed)];
    framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend(message);
    framed
}

/// A connection over HTTP/2.
#[derive(Clone)]
pub(crate) struct Grpc(http2::SendRequest<Full<Bytes>>, SocketAddr);

impl Grpc {
    pub(crate) async fn connect(to: Option<SocketAddr>) -> Self {
        let to = to.unwrap();
        let stream = TcpStream::connect(to).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self(sender, to)
    }

    /// Calls with the bytes as they are.
    pub(crate) async fn call(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Called {
        read(self.start(path, headers, body).await).await
    }

    pub(crate) async fn start(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Response<Incoming> {
        let mut request = Request::post(format!("http://{}{path}", self.1))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        self.0.ready().await.unwrap();
        self.0.send_request(request).await.unwrap()
    }

    /// Exports these traces.
    pub(crate) async fn export(&mut self, message: &[u8]) -> Called {
        self.call(TRACES, &[], framed(false, message)).await
    }

    /// The same; `None` if the connection goes before there is an answer.
    pub(crate) async fn try_export(&mut self, message: &[u8]) -> Option<Code> {
        let request = Request::post(format!("http://{}{TRACES}", self.1))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(framed(false, message).into()))
            .ok()?;
        self.0.ready().await.ok()?;
        let response = self.0.send_request(request).await.ok()?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.ok()?;
        let trailers = body.trailers().unwrap_or(&head.headers);
        RpcStatus::from_trailers(trailers).map(|status| status.code)
    }

    /// Whether the connection is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

async fn read(response: Response<Incoming>) -> Called {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    let status = RpcStatus::from_trailers(&trailers).or_else(|| RpcStatus::from_trailers(&head.headers));
    let message = body.to_bytes();
    Called {
        http: head.status.as_u16(),
        status: status.unwrap_or_else(|| RpcStatus::new(Code::Unknown, "there is no grpc-status")),
        message: if message.is_empty() {
            message
        } else {
            message.slice(5..)
        },
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

/// One request over HTTP/1.1.
pub(crate) async fn http(to: Option<SocketAddr>, request: Request<Full<Bytes>>) -> Answer {
    let stream = TcpStream::connect(to.unwrap()).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: body.collect().await.unwrap().to_bytes(),
    }
}

pub(crate) async fn post(
    to: Option<SocketAddr>,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let mut request = Request::post(path).header("host", "gateway");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    http(to, request.body(Full::new(body.into())).unwrap()).await
}

pub(crate) async fn get(to: Option<SocketAddr>, path: &str) -> Answer {
    let request = Request::get(path).header("host", "gateway");
    http(to, request.body(Full::default()).unwrap()).await
}

/// Writes these bytes and reads until the other side closes.
pub(crate) async fn raw(to: Option<SocketAddr>, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(to.unwrap()).await.unwrap();
    // It may be closed before all is written.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
