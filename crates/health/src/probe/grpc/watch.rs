//! [`Watch`]: what a server tells unasked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use tokio::sync::Notify;

use super::message::{Frames, ServingStatus};
use super::{check_head, code_in};
use crate::probe::wire::{Http2, Wire};

/// The `Watch` stream of one connection.
#[derive(Debug, Default)]
pub(super) struct Watch(Arc<State>);

#[derive(Debug, Default)]
struct State {
    news: Notify,
    /// A task is listening.
    listening: AtomicBool,
    /// The server has no `Watch`.
    refused: AtomicBool,
    /// The end of a stream was news once: a server that ends each at once shall not be asked more often
    /// for it.
    ended: AtomicBool,
}

impl Watch {
    /// Ends at the next news. Dropped, none is lost.
    pub(super) async fn news(&self) {
        self.0.news.notified().await;
    }

    /// Opens the stream unless it is open or was refused. `status` is what is known already.
    pub(super) fn listen(&self, wire: &Wire<Http2>, request: Request<Full<Bytes>>, status: ServingStatus) {
        let state = self.0.clone();
        if state.refused.load(Ordering::Relaxed) || state.listening.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut sender = wire.sender.clone();
        wire.spawn(async move {
            let told = follow(&mut sender, request, status, &state.news).await;
            state.listening.store(false, Ordering::Relaxed);
            match told {
                // It goes down, most likely.
                Ended::AfterNews if !state.ended.swap(true, Ordering::Relaxed) => state.news.notify_one(),
                Ended::AfterNews => {}
                Ended::Refused => state.refused.store(true, Ordering::Relaxed),
            }
        });
    }
}

/// How a stream ended.
enum Ended {
    /// It had told something.
    AfterNews,
    /// It had not: there is no use in asking again.
    Refused,
}

async fn follow(
    sender: &mut Http2,
    request: Request<Full<Bytes>>,
    known: ServingStatus,
    news: &Notify,
) -> Ended {
    let Ok(response) = sender.send_request(request).await else {
        return Ended::Refused;
    };
    // With a status in its head it is an error, and over.
    if check_head::<(), _>(&response).is_err() || code_in(response.headers()).0.is_some() {
        return Ended::Refused;
    }
    let mut body = response.into_body();
    let (mut frames, mut last, mut ended) = (Frames::default(), known, Ended::Refused);
    while let Some(Ok(frame)) = body.frame().await {
        let Some(data) = frame.data_ref() else {
            break;
        };
        if frames.extend(data).is_err() {
            break;
        }
        while let Ok(Some(status)) = frames.next() {
            ended = Ended::AfterNews;
            if status != last {
                last = status;
                news.notify_one();
            }
        }
    }
    ended
}
