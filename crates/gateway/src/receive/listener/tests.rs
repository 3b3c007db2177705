//! Accepting when the system gives no connection.

use std::collections::VecDeque;
use std::future::pending;
use std::io::Write;
use std::task::Waker;

use bytes::Bytes;
use http_body_util::Full;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::*;

/// No descriptors left in this process; a number that has no `ErrorKind` of its own.
const EMFILE: i32 = 24;

/// What the system says when it is asked for a connection.
enum Says {
    Errno(i32),
    Error(io::ErrorKind),
    Connection(TcpStream),
    /// Nothing, for so long.
    Nothing(Duration),
}

/// Says one after the other, then that this is all, then nothing.
struct Script {
    says: VecDeque<Says>,
    all: Option<oneshot::Sender<()>>,
}

impl Accept for Script {
    async fn accept(&mut self) -> io::Result<TcpStream> {
        loop {
            match self.says.pop_front() {
                Some(Says::Errno(errno)) => return Err(io::Error::from_raw_os_error(errno)),
                Some(Says::Error(kind)) => return Err(kind.into()),
                Some(Says::Connection(stream)) => return Ok(stream),
                Some(Says::Nothing(time)) => tokio::time::sleep(time).await,
                None => {
                    if let Some(all) = self.all.take() {
                        all.send(()).unwrap();
                    }
                    pending::<()>().await;
                }
            }
        }
    }
}

struct Fine;

impl Answer for Fine {
    type Body = Full<Bytes>;

    async fn answer(self: Arc<Self>, _: Request<Incoming>) -> Response<Self::Body> {
        Response::new(Full::from("fine"))
    }
}

/// A port that accepts by a script.
struct Port {
    connections: Arc<Connections>,
    log: Log,
    began: Instant,
}

impl Port {
    fn new() -> Self {
        Self {
            connections: Arc::new(Connections::new(8)),
            log: Log::default(),
            began: Instant::now(),
        }
    }

    /// Until the script is over. It accepts on, in the background.
    async fn accepts(&self, says: impl IntoIterator<Item = Says>) {
        let (all, over) = oneshot::channel();
        let script = Script {
            says: says.into_iter().collect(),
            all: Some(all),
        };
        let log = self.log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || log.clone());
        let _here = tracing::subscriber::set_default(subscriber.finish());
        tokio::spawn(accept(
            script,
            Arc::clone(&self.connections),
            builder(&ReceiverConfig::default()),
            Arc::new(Fine),
            Arc::default(),
        ));
        over.await.unwrap();
    }

    /// How long it has rested, if that is about `expected`: timers count in milliseconds.
    fn rested(&self, expected: Duration, times: u32) -> bool {
        let rested = self.began.elapsed();
        (expected..=expected + Duration::from_millis(1) * times).contains(&rested)
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn count(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock()).matches(text).count()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Both ends of a connection.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap());
    let (near, far) = tokio::join!(near, listener.accept());
    (near.unwrap(), far.unwrap().0)
}

fn order(seat: &Seat) -> Order {
    seat.connection().order(Waker::noop())
}

fn out_of_descriptors(times: usize) -> impl Iterator<Item = Says> {
    (0..times).map(|_| Says::Errno(EMFILE))
}

const NONE: &str = "no connection can be accepted";
const AGAIN: &str = "connections are accepted again";

#[tokio::test(start_paused = true)]
async fn out_of_descriptors_the_port_neither_spins_nor_ends() {
    let port = Port::new();
    let (mut near, far) = pair().await;
    port.accepts(out_of_descriptors(600).chain([Says::Connection(far)]))
        .await;
    assert!(port.rested(REST * 600, 600), "{:?}", port.began.elapsed());
    tokio::time::resume();
    near.write_all(b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    near.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("fine"),
        "{answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn out_of_descriptors_idle_connections_make_room_and_busy_ones_stay() {
    let port = Port::new();
    let [busy, used, unused] = [(); 3].map(|()| port.connections.open().unwrap());
    let _request = busy.connection().begin();
    drop(used.connection().begin());
    port.accepts(out_of_descriptors(1)).await;
    assert_eq!(
        (order(&busy), order(&used), order(&unused)),
        (Order::Serve, Order::Serve, Order::Abort),
        "one for each error, the one that never had a request first",
    );
    port.accepts(out_of_descriptors(2)).await;
    assert_eq!((order(&busy), order(&used)), (Order::Serve, Order::Abort));
    // The last found nobody idle.
    assert!(port.rested(MOMENT * 2 + REST, 3), "{:?}", port.began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn descriptors_that_come_and_go_are_one_trouble_and_logged_once() {
    let port = Port::new();
    let (_one, first) = pair().await;
    let (_other, second) = pair().await;
    let (_third, last) = pair().await;
    let errors = out_of_descriptors(1200);
    let flapping = [
        Says::Connection(first),
        Says::Errno(EMFILE),
        Says::Connection(second),
    ];
    port.accepts(errors.chain(flapping)).await;
    assert_eq!((port.log.count(NONE), port.log.count(AGAIN)), (1, 0));
    let over = [
        Says::Errno(EMFILE),
        Says::Nothing(TROUBLE + REST),
        Says::Connection(last),
        Says::Errno(EMFILE),
        Says::Errno(EMFILE),
    ];
    let port = Port::new();
    port.accepts(over).await;
    assert_eq!((port.log.count(NONE), port.log.count(AGAIN)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_gone_before_it_is_accepted_is_no_trouble() {
    let port = Port::new();
    let idle = port.connections.open().unwrap();
    let gone = [
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::ConnectionRefused,
    ];
    port.accepts(gone.map(Says::Error)).await;
    assert_eq!(port.began.elapsed(), Duration::ZERO);
    assert_eq!((order(&idle), port.log.count(NONE)), (Order::Serve, 0));
}
