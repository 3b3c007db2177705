//! A collector that does as it is told, over gRPC or over HTTP/1.1.

use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use evenkeel_otlp::rpc::{Code, RpcStatus};
use evenkeel_otlp::{
    Compression, Encoding, Export, OtlpClient, OtlpClientConfig, PartialSuccess, Protocol, Signal,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a collector does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Takes it.
    Accept,
    /// Takes it, and has something to say.
    Partial(PartialSuccess),
    /// Answers this, with a body if it speaks HTTP.
    Status(RpcStatus),
    /// Answers this in HTTP, whatever it speaks else.
    Http(u16, &'static [(&'static str, &'static str)], Vec<u8>),
    /// Never answers.
    Hang,
    /// Takes it when [`let_go`](Collector::let_go) is called.
    Hold,
    /// Takes it, and closes the connection without an answer.
    Cut,
    /// gRPC: ends the stream without a status.
    NoStatus,
    /// gRPC: resets the stream.
    Reset(h2::Reason),
    /// gRPC: takes it and asks the client to go.
    GoAway,
}

/// What arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    /// As it travelled, without gRPC's prefix.
    pub(crate) body: Bytes,
    pub(crate) compressed: bool,
}

#[derive(Default)]
struct State {
    script: Mutex<VecDeque<Act>>,
    usual: Mutex<Option<Act>>,
    received: Mutex<Vec<Received>>,
    connections: AtomicUsize,
    arrivals: watch::Sender<usize>,
    /// No connection is served any more, and none closed.
    frozen: watch::Sender<bool>,
    cut: watch::Sender<usize>,
    held: watch::Sender<bool>,
    /// What it says when it is asked by gRPC's health protocol; it does not know that at first.
    serving: Mutex<Option<bool>>,
    /// How often that was asked.
    checks: AtomicUsize,
}

/// Until what is held is let go.
async fn held(state: &State) {
    let mut let_go = state.held.subscribe();
    let_go.wait_for(|&let_go| let_go).await.unwrap();
}

pub(crate) struct Collector {
    pub(crate) addr: SocketAddr,
    pub(crate) protocol: Protocol,
    state: Arc<State>,
    serving: Option<JoinSet<()>>,
    /// Keeps the port from others while it is dead: bound, but nobody listens.
    _port: TcpSocket,
}

/// A socket at this address, which others may listen at.
fn bind(addr: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(addr).unwrap();
    socket
}

fn listen(addr: SocketAddr) -> TcpListener {
    bind(addr).listen(1024).unwrap()
}

/// What turns a socket into what is spoken over.
pub(crate) trait Wrap: Send + Sync + 'static {
    fn wrap(
        &self,
        socket: tokio::net::TcpStream,
    ) -> impl Future<Output = Option<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>> + Send;
}

pub(crate) struct Plain;

impl Wrap for Plain {
    async fn wrap(
        &self,
        socket: tokio::net::TcpStream,
    ) -> Option<impl AsyncRead + AsyncWrite + Unpin + Send + 'static> {
        Some(socket)
    }
}

impl Collector {
    pub(crate) async fn start(protocol: Protocol) -> Self {
        Self::start_over(protocol, Plain).await
    }

    pub(crate) async fn start_over(protocol: Protocol, wrap: impl Wrap) -> Self {
        let port = bind(([127, 0, 0, 1], 0).into());
        let addr = port.local_addr().unwrap();
        let state = Arc::new(State::default());
        let serving = Some(serve(listen(addr), protocol, state.clone(), Arc::new(wrap)));
        Self {
            addr,
            protocol,
            state,
            serving,
            _port: port,
        }
    }

    /// Three of them.
    pub(crate) async fn three(protocol: Protocol) -> [Self; 3] {
        [
            Self::start(protocol).await,
            Self::start(protocol).await,
            Self::start(protocol).await,
        ]
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// As a client is told of it.
    pub(crate) fn described(&self) -> evenkeel_otlp::Collector {
        let mut described = evenkeel_otlp::Collector::new(&self.url()).unwrap();
        described.protocol = Some(self.protocol);
        described
    }

    /// From now on it does this.
    pub(crate) fn usually(&self, act: Act) {
        *self.state.usual.lock() = Some(act);
    }

    /// The next requests get this, one each.
    pub(crate) fn next(&self, acts: impl IntoIterator<Item = Act>) {
        self.state.script.lock().extend(acts);
    }

    /// All that arrived, answered or not.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.received.lock().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.state.received.lock().len()
    }

    /// How many connections over HTTP/2 there were.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Until so many requests have arrived.
    pub(crate) async fn until_received(&self, count: usize) {
        let mut arrivals = self.state.arrivals.subscribe();
        arrivals.wait_for(|&arrived| arrived >= count).await.unwrap();
    }

    /// It is gone, and its connections with it.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut serving) = self.serving.take() {
            serving.shutdown().await;
        }
    }

    /// It is back where it was.
    pub(crate) fn restart(&mut self) {
        self.restart_over(Plain);
    }

    pub(crate) fn restart_over(&mut self, wrap: impl Wrap) {
        self.serving = Some(serve(
            listen(self.addr),
            self.protocol,
            self.state.clone(),
            Arc::new(wrap),
        ));
    }

    /// Says from now on whether it serves, when it is asked by gRPC's health protocol.
    #[cfg(all(feature = "grpc-checks", feature = "tls"))]
    pub(crate) fn says(&self, serving: bool) {
        *self.state.serving.lock() = Some(serving);
    }

    /// How often it was asked.
    #[cfg(all(feature = "grpc-checks", feature = "tls"))]
    pub(crate) fn checks(&self) -> usize {
        self.state.checks.load(Ordering::SeqCst)
    }

    /// Its process stands still: the kernel takes bytes and nobody reads them.
    pub(crate) fn freeze(&self) {
        self.state.frozen.send_replace(true);
    }

    pub(crate) fn let_go(&self) {
        self.state.held.send_replace(true);
    }

    pub(crate) fn thaw(&self) {
        self.state.frozen.send_replace(false);
    }
}

fn serve<W: Wrap>(listener: TcpListener, protocol: Protocol, state: Arc<State>, wrap: Arc<W>) -> JoinSet<()> {
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            let (state, wrap) = (state.clone(), wrap.clone());
            connections.spawn(async move {
                let mut frozen = state.frozen.subscribe();
                let mut cut = state.cut.subscribe();
                let served = async {
                    let Some(socket) = wrap.wrap(socket).await else {
                        return;
                    };
                    match protocol {
                        Protocol::Grpc => grpc(socket, &state).await,
                        _ => http1(socket, &state).await,
                    }
                };
                tokio::pin!(served);
                loop {
                    if *frozen.borrow_and_update() {
                        // Whoever sets it free may have gone.
                        if frozen.wait_for(|frozen| !frozen).await.is_err() {
                            pending::<()>().await;
                        }
                        continue;
                    }
                    tokio::select! {
                        () = &mut served => return,
                        changed = frozen.changed() => if changed.is_err() { return },
                        _ = cut.changed() => return,
                    }
                }
            });
        }
    });
    serving
}

impl State {
    fn act(&self, received: Received) -> Act {
        self.received.lock().push(received);
        let act = self.script.lock().pop_front();
        let act = act.or_else(|| self.usual.lock().clone()).unwrap_or(Act::Accept);
        self.arrivals.send_modify(|arrived| *arrived += 1);
        act
    }
}

async fn grpc(socket: impl AsyncRead + AsyncWrite + Unpin + Send, state: &Arc<State>) {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(1 << 20)
        .initial_connection_window_size(4 << 20);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(socket).await else {
        return;
    };
    // A check connects too, and says nothing.
    state.connections.fetch_add(1, Ordering::SeqCst);
    let mut requests = JoinSet::new();
    let goaway = Arc::new(tokio::sync::Notify::new());
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else { return };
                requests.spawn(grpc_request(request, respond, state.clone(), goaway.clone()));
            }
            () = goaway.notified() => connection.graceful_shutdown(),
        }
    }
}

async fn grpc_request(
    request: Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    state: Arc<State>,
    goaway: Arc<tokio::sync::Notify>,
) {
    let (head, mut body) = request.into_parts();
    let mut framed = BytesMut::new();
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
        framed.extend_from_slice(&data);
    }
    if !body.is_end_stream() {
        return;
    }
    let length = u32::from_be_bytes(framed[1..5].try_into().unwrap());
    assert_eq!(length as usize, framed.len() - 5, "a whole message");
    if let Some(method) = head.uri.path().strip_prefix("/grpc.health.v1.Health/") {
        health(respond, &state, method);
        return;
    }
    let act = state.act(Received {
        path: head.uri.path().to_owned(),
        headers: head.headers,
        compressed: framed[0] == 1,
        body: framed.freeze().slice(5..),
    });
    let ok = grpc_head();
    let message = match act {
        Act::Accept => Vec::new(),
        Act::Hold => {
            held(&state).await;
            Vec::new()
        }
        Act::Partial(partial) => partial.encode_response(Signal::Traces, Encoding::Protobuf),
        Act::Status(status) => {
            let mut response = ok;
            status.write_trailers(response.headers_mut());
            let _ = respond.send_response(response, true);
            return;
        }
        Act::Http(status, headers, body) => {
            let mut response = Response::new(());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in headers {
                response
                    .headers_mut()
                    .insert(*name, HeaderValue::from_static(value));
            }
            if let Ok(mut stream) = respond.send_response(response, false) {
                let _ = stream.send_data(body.into(), true);
            }
            return;
        }
        Act::Hang => pending().await,
        Act::Cut => {
            state.cut.send_modify(|cuts| *cuts += 1);
            return;
        }
        Act::NoStatus => {
            if let Ok(mut stream) = respond.send_response(ok, false) {
                let _ = stream.send_data(Bytes::new(), true);
            }
            return;
        }
        Act::Reset(reason) => {
            respond.send_reset(reason);
            return;
        }
        Act::GoAway => {
            goaway.notify_one();
            Vec::new()
        }
    };
    answer(respond, &message);
}

fn grpc_head() -> Response<()> {
    let head = Response::builder().header("content-type", "application/grpc");
    head.body(()).unwrap()
}

/// Answers by a message.
fn answer(mut respond: h2::server::SendResponse<Bytes>, message: &[u8]) {
    let Ok(mut stream) = respond.send_response(grpc_head(), false) else {
        return;
    };
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let framed = [&[0][..], &length, message].concat();
    let _ = stream.send_data(framed.into(), false);
    let mut trailers = HeaderMap::new();
    RpcStatus::new(Code::Ok, "").write_trailers(&mut trailers);
    let _ = stream.send_trailers(trailers);
}

fn health(mut respond: h2::server::SendResponse<Bytes>, state: &State, method: &str) {
    let serving = *state.serving.lock();
    match serving {
        Some(serving) if method == "Check" => {
            state.checks.fetch_add(1, Ordering::SeqCst);
            // The status, the only field: SERVING is 1, NOT_SERVING 2.
            answer(respond, &[8, if serving { 1 } else { 2 }]);
        }
        _ => {
            let mut response = grpc_head();
            RpcStatus::new(Code::Unimplemented, method).write_trailers(response.headers_mut());
            let _ = respond.send_response(response, true);
        }
    }
}

async fn http1(socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, state: &Arc<State>) {
    let service = service_fn(|request| http1_request(request, state.clone()));
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(socket), service)
        .await;
}

async fn http1_request(
    request: Request<Incoming>,
    state: Arc<State>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        pending().await
    };
    let media = head.headers["content-type"].clone();
    let act = state.act(Received {
        path: head.uri.to_string(),
        compressed: head.headers.contains_key("content-encoding"),
        headers: head.headers,
        body: body.to_bytes(),
    });
    let encoding = Encoding::from_media_type(media.to_str().unwrap()).unwrap();
    let answer = |status: u16, body: Vec<u8>| {
        let answer = Response::builder()
            .status(status)
            .header("content-type", media.clone());
        answer.body(Full::from(body)).unwrap()
    };
    if matches!(act, Act::Hold) {
        held(&state).await;
    }
    Ok(match act {
        Act::Partial(partial) => answer(200, partial.encode_response(Signal::Traces, encoding)),
        Act::Status(status) => {
            let body = match encoding {
                Encoding::Json => status.encode_json().into_bytes(),
                _ => status.encode_protobuf(),
            };
            answer(status.http_status(), body)
        }
        Act::Http(status, headers, body) => {
            let mut answer = answer(status, body);
            for (name, value) in headers {
                answer
                    .headers_mut()
                    .insert(*name, HeaderValue::from_static(value));
            }
            answer
        }
        Act::Hang => pending().await,
        Act::Cut => {
            state.cut.send_modify(|cuts| *cuts += 1);
            pending().await
        }
        _ => answer(
            200,
            PartialSuccess::default().encode_response(Signal::Traces, encoding),
        ),
    })
}

/// A client of these.
pub(crate) fn client_of<'a>(collectors: impl IntoIterator<Item = &'a Collector>) -> OtlpClient {
    client_with(collectors, |_| ())
}

/// A client of these, with a config that differs.
pub(crate) fn client_with<'a>(
    collectors: impl IntoIterator<Item = &'a Collector>,
    change: impl FnOnce(&mut OtlpClientConfig),
) -> OtlpClient {
    let mut config = OtlpClientConfig {
        collectors: collectors.into_iter().map(Collector::described).collect(),
        ..OtlpClientConfig::default()
    };
    // A machine that is busy with compiling is slow; only what tests are about is to end them.
    config.timeout = Duration::from_secs(60);
    // By the same token: on such a machine anything may be hedged.
    config.balancer.hedging = None;
    change(&mut config);
    OtlpClient::new(config).unwrap()
}

/// Until every connection that is opened beforehand is there.
pub(crate) async fn connected(client: &OtlpClient) {
    for id in client.balancer().ids() {
        let channel = client.balancer().backend(id.as_str()).unwrap();
        while channel.protocol() == Protocol::Grpc && channel.open_connections() == 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// A request that can be told from all others.
pub(crate) fn export(number: u32) -> Export {
    let mut body = number.to_be_bytes().to_vec();
    body.resize(1000, 7);
    Export::new(Signal::Traces, Encoding::Protobuf, Compression::None, body.into())
}

/// The number of what arrived.
pub(crate) fn number(received: &Received) -> u32 {
    u32::from_be_bytes(received.body[..4].try_into().unwrap())
}

/// Which numbers arrived anywhere.
pub(crate) fn arrived(collectors: &[Collector]) -> HashSet<u32> {
    let all = collectors.iter().flat_map(Collector::received);
    all.map(|received| number(&received)).collect()
}
