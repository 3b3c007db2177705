//! The admin port: what the gateway tells of itself. It only tells; nothing can be changed here.

mod status;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use hyper::body::Incoming;
use hyper::{Request, Response};

use crate::admission::Admission;
use crate::deliver::Exchange;
use crate::metrics;
use crate::readiness::Serving;
use crate::receive::connections::Connections;
use crate::receive::listener::Answer;
use crate::receive::reply::Reply;
use crate::telemetry::Telemetry;

/// What there is to tell of.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) serving: Serving,
}

const TEXT: &str = "text/plain; charset=utf-8";

impl Answer for Admin {
    type Body = Reply;

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Reply> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri().path() {
            "/healthz" => text(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" => {
                let status = match self.serving.now() {
                    true => StatusCode::OK,
                    false => StatusCode::SERVICE_UNAVAILABLE,
                };
                text(status, TEXT, format!("{}\n", self.serving.state().as_str()))
            }
            "/metrics" => {
                let version = "text/plain; version=0.0.4; charset=utf-8";
                text(StatusCode::OK, version, metrics::text(&self))
            }
            "/status" => text(StatusCode::OK, "application/json", status::write(&self)),
            _ => text(
                StatusCode::NOT_FOUND,
                TEXT,
                "there are /healthz, /readyz, /metrics and /status\n",
            ),
        }
    }
}

fn text(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Reply> {
    let mut response = Response::new(Reply::Whole(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
