//! [`GrpcChannel`]: unary calls over HTTP/2, by h2 itself.
//!
//! A request goes from the caller's task straight into the connection's buffers, and its answer straight back:
//! no queue, no task and no boxed body between.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::{Bytes, BytesMut};
use evenkeel::balancer::{BackendId, Classification, Outcome, Retry};
use evenkeel::io_core::Target;
use evenkeel::stats::{FailureKind, Phase};
use evenkeel_otlp_wire::Signal;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::attempt::{AttemptError, Kind};
use super::dial::{Connect, Dialer, Ups};
use super::framed::Framed;
use super::head::{GRPC_ENCODING, GRPC_TIMEOUT, Heads, grpc_timeout};
use super::keeper::{Keeper, Limits, Live, Progress, Stream, keep};
use crate::export::GRPC_PREFIX;
use crate::rpc::{Code, RpcStatus, retry_after};
use crate::{Compression, Encoding, Export, OtlpClientConfig, PartialSuccess, classify};

/// The connections to one collector.
pub(super) struct GrpcChannel {
    slots: Box<[Arc<ArcSwapOption<Live>>]>,
    progress: Arc<watch::Sender<Progress>>,
    ups: Arc<Ups>,
    heads: Heads,
    max_in_flight: usize,
    max_response: usize,
    /// The keepers: they end with the channel.
    _keepers: JoinSet<()>,
}

/// The request after which a connection is replaced. There are 2^30 stream ids of a client's, and those who are
/// about to send when it is replaced need theirs.
const LAST: u64 = if cfg!(test) { 5 } else { (1 << 30) - (1 << 20) };

impl GrpcChannel {
    pub(super) fn open(
        id: &BackendId,
        target: &Target,
        heads: Heads,
        connect: Connect,
        dialer: &Dialer,
        config: &OtlpClientConfig,
    ) -> Self {
        let progress = Arc::new(watch::Sender::new(Progress {
            open: 0,
            failed: 0,
            error: None,
        }));
        let mut keepers = JoinSet::new();
        let slots = (0..config.connections).map(|_| {
            let slot = Arc::new(ArcSwapOption::empty());
            keepers.spawn(keep(Keeper {
                id: id.clone(),
                target: target.clone(),
                connect: connect.clone(),
                limits: Limits::new(config),
                slot: slot.clone(),
                progress: progress.clone(),
                ups: dialer.ups.clone(),
            }));
            slot
        });
        Self {
            slots: slots.collect(),
            progress,
            ups: dialer.ups.clone(),
            heads,
            max_in_flight: config.max_in_flight,
            max_response: config.max_response_size,
            _keepers: keepers,
        }
    }

    pub(super) fn open_connections(&self) -> usize {
        self.progress.borrow().open
    }

    /// One attempt, to its answer; as [`Channel::send`](super::Channel::send) has it.
    pub(super) async fn send(
        &self,
        export: &Export,
        left: Option<Duration>,
        patient: bool,
    ) -> Result<Option<PartialSuccess>, Box<AttemptError>> {
        if export.encoding() != Encoding::Protobuf {
            let reason = "gRPC carries no JSON";
            let verdict = Classification::new(Outcome::Cancelled, Retry::Unsent);
            return Err(AttemptError::new(Kind::Unsupported(reason), verdict));
        }
        let live = match self.least_busy() {
            Some(live) => live,
            None => self.wait(patient).await?,
        };
        let place = Place::take(&live, self.max_in_flight)?;
        let mut request = self.heads.request(export.signal(), export.compression(), ());
        if let Some(left) = left {
            request.headers_mut().insert(GRPC_TIMEOUT, grpc_timeout(left));
        }
        // A clone has no stream of its own that it waits for, and so never refuses.
        let mut sender = live.sender.clone();
        let ended = |error: &h2::Error| {
            // Whatever the reason is that it sends us away for, it takes no more on this connection.
            if error.is_go_away() {
                live.retired.notify_one();
            }
            lost(error)
        };
        let sending = sender.send_request(request, false);
        let (answer, mut stream) = sending.map_err(|error| {
            if is_ours(&error) {
                // As when there are no stream ids left.
                live.retired.notify_one();
                return unsent(&error);
            }
            ended(&error)
        })?;
        let compressed = export.compression() != Compression::None;
        let framed = Framed::new(compressed, export.body().clone());
        // h2 keeps what the peer's windows do not take yet; that is our bytes, counted once more.
        let sent = stream.send_data(framed, true);
        let number = live.sent.fetch_add(1, Ordering::Relaxed);
        if number == LAST {
            live.retired.notify_one();
        }
        let mut asked = Asked {
            number,
            bytes: export.body().len(),
            stream: Some((answer, stream)),
            place,
        };
        // An answer may be there though the peer would not read all: then that is what counts.
        let (head, body) = match poll_fn(|context| asked.poll(context)).await {
            Ok(answer) => answer.into_parts(),
            Err(error) => return Err(ended(&sent.err().unwrap_or(error))),
        };
        live.answered(number);
        self.read(export.signal(), head.status, &head.headers, body).await
    }

    /// The open connection with the fewest requests under way.
    fn least_busy(&self) -> Option<Arc<Live>> {
        let live = self.slots.iter().filter_map(|slot| slot.load_full());
        live.min_by_key(|live| live.in_flight.load(Ordering::Relaxed))
    }

    /// Waits until a connection is open or a dial has failed. Who is not patient leaves as soon as another collector is
    /// connected.
    #[cold]
    async fn wait(&self, patient: bool) -> Result<Arc<Live>, Box<AttemptError>> {
        let mut progress = self.progress.subscribe();
        let failed = progress.borrow_and_update().failed;
        let news = progress.wait_for(|progress| progress.open > 0 || progress.failed != failed);
        let mut ups = self.ups.subscribe();
        tokio::select! {
            biased;
            // One of them is this channel's, perhaps.
            _ = ups.wait_for(|&ups| ups > 0), if !patient => {}
            _ = news => {}
        }
        self.least_busy().ok_or_else(|| self.not_connected())
    }

    /// Nothing was sent. As long as no dial has failed that is nothing to hold against the collector: it is new, or
    /// has been restarted, and TLS over a long way takes its time.
    fn not_connected(&self) -> Box<AttemptError> {
        let error = self.progress.borrow().error.clone();
        let verdict = match error {
            None => Classification::new(Outcome::Cancelled, Retry::Unsent),
            Some(_) => Classification::failed(Phase::Connect, FailureKind::Unreachable, Retry::Unsent),
        };
        AttemptError::new(Kind::NotConnected(error), verdict)
    }

    async fn read(
        &self,
        signal: Signal,
        http: StatusCode,
        headers: &HeaderMap,
        mut body: h2::RecvStream,
    ) -> Result<Option<PartialSuccess>, Box<AttemptError>> {
        if !is_grpc(http, headers) {
            return Err(not_grpc(http, headers));
        }
        let mut message = Message::default();
        // Of an answer without a message it stands in the head. Then it counts, however the stream ends after it.
        let early = RpcStatus::from_trailers(headers);
        let status = match early {
            Some(status) if status.code != Code::Ok => Some(status),
            early => match message.read(&mut body, self.max_response).await {
                Ok(late) => late.or(early),
                Err(error) => Some(early.ok_or_else(|| lost(&error))?),
            },
        };
        match status {
            Some(status) if status.code == Code::Ok => {
                let encoding = headers.get(GRPC_ENCODING).and_then(|value| value.to_str().ok());
                let compression = encoding.map_or(Some(Compression::None), Compression::from_header);
                Ok(match message.bytes() {
                    Some(framed) => partial(signal, compression, framed, self.max_response),
                    None => unreadable(&format_args!(
                        "it is longer than max_response_size = {}",
                        self.max_response
                    )),
                })
            }
            Some(status) => Err(answered(status)),
            // No answer, however orderly it ended.
            None => Err(no_answer("the stream ended without a grpc-status".to_owned())),
        }
    }
}

fn is_grpc(http: StatusCode, headers: &HeaderMap) -> bool {
    let content = headers.get(CONTENT_TYPE);
    let is_grpc = content.is_some_and(|content| content.as_bytes().starts_with(b"application/grpc"));
    http == StatusCode::OK && is_grpc
}

/// Something before the collector answered, in HTTP.
fn not_grpc(http: StatusCode, headers: &HeaderMap) -> Box<AttemptError> {
    let delay = retry_after(headers);
    let code = match Code::from_http(http.as_u16()) {
        // It is no success, whatever it thinks.
        Code::Ok => Code::Unknown,
        code => code,
    };
    let verdict = if http.is_success() {
        classify::of_grpc(&RpcStatus::new(code, ""))
    } else {
        classify::of_http(http.as_u16(), delay)
    };
    let status = RpcStatus {
        retry_delay: delay.filter(|_| verdict.retry != Retry::Never),
        ..RpcStatus::new(code, format!("HTTP status {http}, and not gRPC"))
    };
    AttemptError::new(Kind::Status(status), verdict)
}

fn answered(status: RpcStatus) -> Box<AttemptError> {
    let verdict = classify::of_grpc(&status);
    AttemptError::new(Kind::Status(status), verdict)
}

fn no_answer(reason: String) -> Box<AttemptError> {
    let verdict = Classification::failed(Phase::Read, FailureKind::Closed, Retry::IfRepeatable);
    AttemptError::new(Kind::Status(RpcStatus::new(Code::Unavailable, reason)), verdict)
}

/// The server asked us to go, and is not sick: requests that are under way there end as they may.
fn is_farewell(error: &h2::Error) -> bool {
    error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR)
}

/// h2 itself refused: nothing was sent, and nobody is to blame.
fn is_ours(error: &h2::Error) -> bool {
    !(error.is_io() || error.is_go_away() || error.is_reset())
}

fn unsent(error: &h2::Error) -> Box<AttemptError> {
    let status = RpcStatus::new(Code::Unavailable, error.to_string());
    let verdict = Classification::new(Outcome::Cancelled, Retry::Unsent);
    AttemptError::new(Kind::Status(status), verdict)
}

/// The connection, or the stream, ended before the answer.
fn lost(error: &h2::Error) -> Box<AttemptError> {
    let refused = error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    if refused || is_farewell(error) {
        // It says itself that it has not looked at it, and a server that goes in peace is not sick.
        return unsent(error);
    }
    let verdict = if error.is_go_away() && error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM) {
        // Our pings, or our cancelled requests, were too many for it.
        Classification::new(Outcome::Cancelled, Retry::IfRepeatable)
    } else {
        let kind = error.get_io().map_or(FailureKind::Reset, FailureKind::of_io);
        Classification::failed(Phase::Read, kind, Retry::IfRepeatable)
    };
    AttemptError::new(
        Kind::Status(RpcStatus::new(Code::Unavailable, error.to_string())),
        verdict,
    )
}

/// What the message of a success says. The collector has taken the request: that its words can not be read does
/// not change it, but is told.
fn partial(
    signal: Signal,
    compression: Option<Compression>,
    framed: &Bytes,
    limit: usize,
) -> Option<PartialSuccess> {
    // The usual answers: none, and an empty message.
    if framed.is_empty() || framed[..] == [0; GRPC_PREFIX] {
        return None;
    }
    let Some(compression) = compression else {
        return unreadable(&"it is compressed in a way that is not known");
    };
    let response = Export::from_grpc(signal, compression, framed.clone());
    let response = response.and_then(|response| response.decoded(limit));
    match response {
        Ok(response) => PartialSuccess::decode_response(signal, Encoding::Protobuf, &response)
            .unwrap_or_else(|error| unreadable(&error)),
        Err(error) => unreadable(&error),
    }
}

fn unreadable(reason: &dyn std::fmt::Display) -> Option<PartialSuccess> {
    let reason = format!("the collector's answer can not be read: {reason}");
    Some(PartialSuccess::new(0, reason))
}

/// The body of an answer, which mostly is one piece.
#[derive(Default)]
struct Message {
    first: Bytes,
    more: BytesMut,
    too_long: bool,
}

impl Message {
    /// All of it, to the status after it.
    async fn read(
        &mut self,
        body: &mut h2::RecvStream,
        limit: usize,
    ) -> Result<Option<RpcStatus>, h2::Error> {
        while let Some(data) = body.data().await {
            let data = data?;
            // Only fails if there is less to release than we got.
            let _ = body.flow_control().release_capacity(data.len());
            self.add(data, limit);
        }
        let trailers = poll_fn(|context| body.poll_trailers(context)).await?;
        Ok(trailers.as_ref().and_then(RpcStatus::from_trailers))
    }

    /// Of what is too long nothing is kept. It is read on, since the status comes after it.
    fn add(&mut self, data: Bytes, limit: usize) {
        let length = self.first.len().max(self.more.len()).saturating_add(data.len());
        self.too_long |= length > limit.saturating_add(GRPC_PREFIX);
        if self.too_long {
            (self.first, self.more) = Default::default();
        } else if self.first.is_empty() && self.more.is_empty() {
            self.first = data;
        } else {
            if self.more.is_empty() {
                self.more.extend_from_slice(&self.first);
            }
            self.more.extend_from_slice(&data);
        }
    }

    /// All of it; `None` if it was too long.
    fn bytes(&mut self) -> Option<&Bytes> {
        if !self.more.is_empty() {
            self.first = self.more.split().freeze();
        }
        (!self.too_long).then_some(&self.first)
    }
}

/// A request under way, until the head of its answer is there.
struct Asked<'a> {
    number: u64,
    bytes: usize,
    stream: Option<Stream>,
    place: Place<'a>,
}

impl Asked<'_> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Response<h2::RecvStream>, h2::Error>> {
        let Some((answer, _)) = &mut self.stream else {
            return Poll::Pending;
        };
        let answer = std::task::ready!(Pin::new(answer).poll(context));
        self.stream = None;
        Poll::Ready(answer)
    }
}

/// Nobody waits for it any more.
impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let Some(stream) = self.stream.take() else { return };
        let now = self.place.live.given_up.add(self.number, self.bytes, stream);
        // Otherwise it is under way until it is reset.
        self.place.is_taken = now.is_some();
    }
}

/// A request's place on a connection.
struct Place<'a> {
    live: &'a Live,
    is_taken: bool,
}

impl<'a> Place<'a> {
    fn take(live: &'a Live, limit: usize) -> Result<Self, Box<AttemptError>> {
        // What the peer allows as well: h2 would let the rest wait behind it, unseen.
        let limit = limit.min(live.sender.current_max_send_streams());
        let before = live.in_flight.fetch_add(1, Ordering::Relaxed);
        let place = Self { live, is_taken: true };
        if usize::try_from(before).is_ok_and(|before| before < limit) {
            return Ok(place);
        }
        // Dropped, it is given back.
        let verdict = Classification::new(Outcome::Cancelled, Retry::Unsent);
        Err(AttemptError::new(Kind::Busy { limit }, verdict))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.is_taken {
            self.live.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
