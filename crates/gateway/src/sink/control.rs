//! The way round: what arrived, and how to behave.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::arrivals::Arrived;
use super::body::{self, Reply};
use super::{Behaviour, Sink};
use crate::ledger::SenderId;

/// What a sink says of itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Requests received, answered or not.
    pub(crate) requests: u64,
    /// Requests accepted.
    pub(crate) accepted: u64,
    /// Requests refused, because they were bad or the behaviour says so.
    pub(crate) refused: u64,
    /// Requests that have no answer yet.
    pub(crate) in_flight: u64,
    /// Requests whose sender gave them up.
    pub(crate) given_up: u64,
    /// Bytes of their bodies.
    pub(crate) bytes: u64,
    /// Items accepted, if they are counted.
    pub(crate) items: u64,
    /// Marked spans there was no room to tell apart: with any, unique is less than there were.
    pub(crate) uncounted: u64,
    /// The spans that arrived, by who made them.
    pub(crate) senders: BTreeMap<SenderId, Arrived>,
}

/// Answers what is no telemetry; `None` if that is not for us.
pub(super) async fn answer(
    sink: &Sink,
    request: http::Request<hyper::body::Incoming>,
) -> Result<Response<Reply>, http::Request<hyper::body::Incoming>> {
    let path = request.uri().path();
    Ok(match (request.method(), path) {
        (&Method::GET, "/healthz" | "/readyz") => text(StatusCode::OK, "ok"),
        (&Method::GET, "/control") => text(StatusCode::OK, &sink.behaviour().to_string()),
        (&Method::GET, "/report") => report(&sink.report(request.uri().query() == Some("runs"))),
        (&Method::POST, "/control") => match body::read(request.into_body(), true).await {
            Ok((line, _)) => behave(sink, &line),
            Err(error) => text(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        _ => return Err(request),
    })
}

fn behave(sink: &Sink, line: &[u8]) -> Response<Reply> {
    match String::from_utf8_lossy(line).parse::<Behaviour>() {
        Ok(behaviour) => {
            sink.behave(behaviour);
            text(StatusCode::OK, &behaviour.to_string())
        }
        Err(problem) => text(StatusCode::BAD_REQUEST, &problem),
    }
}

fn report(report: &Report) -> Response<Reply> {
    match serde_json::to_vec(report) {
        Ok(json) => {
            let mut response = Response::new(Reply::new(json.into()));
            let json = header::HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

pub(super) fn text(status: StatusCode, text: &str) -> Response<Reply> {
    let mut response = Response::new(Reply::new(Bytes::from(format!("{text}\n"))));
    *response.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
