//! A connector that does as it was told, and counts.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use evenkeel_io_core::Target;
use parking_lot::Mutex;

/// What one connect does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Opens after this time.
    Open(Duration),
    /// Fails after this time.
    Refuse(Duration),
    /// Never ends.
    Hang,
    Panic,
}

/// See the module. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Script(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    acts: Mutex<VecDeque<Act>>,
    otherwise: Mutex<Act>,
    dialled: AtomicUsize,
    dialling: AtomicUsize,
    most_dialling: AtomicUsize,
    open: Arc<Gauge>,
    down: AtomicBool,
    refused: Mutex<Option<Target>>,
}

/// How many there are, and the most there were.
#[derive(Debug, Default)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A connection: counted while it lives.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) id: usize,
    pub(crate) target: Target,
    pub(crate) alive: bool,
    open: Arc<Gauge>,
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.open.now.fetch_sub(1, SeqCst);
    }
}

impl Script {
    /// Every connect does this.
    pub(crate) fn always(act: Act) -> Self {
        Self(Arc::new(Inner {
            acts: Mutex::default(),
            otherwise: Mutex::new(act),
            dialled: AtomicUsize::new(0),
            dialling: AtomicUsize::new(0),
            most_dialling: AtomicUsize::new(0),
            open: Arc::default(),
            down: AtomicBool::new(false),
            refused: Mutex::default(),
        }))
    }

    /// Opens at once.
    pub(crate) fn opening() -> Self {
        Self::always(Act::Open(Duration::ZERO))
    }

    /// The next connects do these, in order.
    pub(crate) fn then(self, acts: impl IntoIterator<Item = Act>) -> Self {
        self.0.acts.lock().extend(acts);
        self
    }

    /// From now on every connect does this.
    pub(crate) fn do_from_now(&self, act: Act) {
        self.0.acts.lock().clear();
        *self.0.otherwise.lock() = act;
    }

    /// Every connect to this one fails.
    pub(crate) fn refuse(&self, target: Target) {
        *self.0.refused.lock() = Some(target);
    }

    pub(crate) fn go_down(&self) {
        self.0.down.store(true, SeqCst);
    }

    pub(crate) fn come_back(&self) {
        self.0.down.store(false, SeqCst);
    }

    pub(crate) fn is_up(&self) -> bool {
        !self.0.down.load(SeqCst)
    }

    pub(crate) fn dialled(&self) -> usize {
        self.0.dialled.load(SeqCst)
    }

    pub(crate) fn most_dialling(&self) -> usize {
        self.0.most_dialling.load(SeqCst)
    }

    /// Connections that exist.
    pub(crate) fn open(&self) -> usize {
        self.0.open.now.load(SeqCst)
    }

    pub(crate) fn most_open(&self) -> usize {
        self.0.open.most.load(SeqCst)
    }

    /// How many there are who may still dial: this one, and the pool's.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    pub(crate) async fn dial(self, target: Target) -> io::Result<Conn> {
        let inner = &*self.0;
        let id = inner.dialled.fetch_add(1, SeqCst);
        let dialling = inner.dialling.fetch_add(1, SeqCst) + 1;
        inner.most_dialling.fetch_max(dialling, SeqCst);
        let _ends = Ends(&inner.dialling);
        let act = inner.acts.lock().pop_front();
        let act = act.unwrap_or_else(|| *inner.otherwise.lock());
        if !self.is_up() || inner.refused.lock().as_ref() == Some(&target) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        match act {
            Act::Open(after) => {
                tokio::time::sleep(after).await;
                let now = inner.open.now.fetch_add(1, SeqCst) + 1;
                inner.open.most.fetch_max(now, SeqCst);
                Ok(Conn {
                    id,
                    target,
                    alive: true,
                    open: inner.open.clone(),
                })
            }
            Act::Refuse(after) => {
                tokio::time::sleep(after).await;
                Err(io::ErrorKind::ConnectionRefused.into())
            }
            Act::Hang => std::future::pending().await,
            Act::Panic => panic!("told to"),
        }
    }
}

struct Ends<'a>(&'a AtomicUsize);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}
