//! [`HttpClassifier`]: answers of the `http` crate.

use std::error::Error;
use std::time::Duration;

use http::Response;
use http::header::RETRY_AFTER;

use super::{Classification, Classify};

/// Judges an answer by its status and its `Retry-After`, an error as
/// [`ErrorClassifier`](super::ErrorClassifier) does.
///
/// `Retry-After` is read in seconds. As a date it is passed over: that would take a wall clock, and
/// the two ends' to agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpClassifier;

impl<Body, E: Error + 'static> Classify<Response<Body>, E> for HttpClassifier {
    fn classify(&self, result: &Result<Response<Body>, E>) -> Classification {
        match result {
            Ok(response) => Classification::of_http(response.status().as_u16(), retry_after(response)),
            Err(error) => Classification::of_error(error),
        }
    }
}

fn retry_after<Body>(response: &Response<Body>) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}
