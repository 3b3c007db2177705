//! The queue's thread: all that touches the disk happens here, so that no worker of the runtime waits for it.
//!
//! Group commit: while one commit waits for the disk, pushes gather, and the next commit takes them all. Records
//! that are done with leave with the next group; if none comes, with a commit of their own a little later.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::PushError;
use super::ledger::Held;
use super::record::Draft;
use super::shared::Inner;
use super::store::Store;

/// The most bytes of records in one commit, beyond which the pages of one transaction would take more memory
/// than they save time.
const GROUP_BYTES: usize = 4 << 20;

/// How long, and for how many records at the most, a commit that only takes records out is put off. A process
/// that is killed within that time delivers those again.
const DONE_WAIT: Duration = Duration::from_millis(10);
const DONE_GROUP: usize = 64;

/// How long a disk that failed is left alone, when nobody asks.
const FAILED_WAIT: Duration = Duration::from_secs(1);

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Command {
    Push {
        draft: Draft,
        reply: oneshot::Sender<Result<(), PushError>>,
    },
    /// A record is done with.
    Done(u64),
    /// Records are wanted in memory.
    Load,
    /// Finish, and say so.
    Close(oneshot::Sender<()>),
}

pub(super) struct Writer {
    store: Store,
    inner: Arc<Inner>,
    commands: Receiver<Command>,
    group: Vec<(Draft, oneshot::Sender<Result<(), PushError>>)>,
    group_bytes: usize,
    done: Vec<u64>,
    load: bool,
    /// The last work on the disk failed, so what is there is not known.
    failing: bool,
    closing: Option<oneshot::Sender<()>>,
}

impl Writer {
    pub(super) const fn new(store: Store, inner: Arc<Inner>, commands: Receiver<Command>) -> Self {
        Self {
            store,
            inner,
            commands,
            group: Vec::new(),
            group_bytes: 0,
            done: Vec::new(),
            load: false,
            failing: false,
            closing: None,
        }
    }

    /// Works until the queue is closed, or nobody has it any more.
    pub(super) fn run(mut self) {
        loop {
            let (open, waited) = self.gather();
            if !self.group.is_empty() || self.done.len() >= DONE_GROUP || waited || !open {
                self.commit();
            }
            if self.load && open {
                self.load();
            }
            if !open {
                break;
            }
        }
        if let Some(closing) = self.closing.take() {
            // The store first: who is told that it is closed may open it again.
            drop(self.store);
            let _gone = closing.send(());
        }
    }

    /// Takes what there is to do. Whether there will be more, and whether the wait was for nothing.
    fn gather(&mut self) -> (bool, bool) {
        let wait = match (self.failing, self.done.is_empty(), self.load) {
            (false, true, false) => None,
            (false, ..) => Some(DONE_WAIT),
            (true, ..) => Some(FAILED_WAIT),
        };
        let first = match wait {
            None => self.commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(wait) => self.commands.recv_timeout(wait),
        };
        let mut next = match first {
            Ok(command) => Some(command),
            Err(RecvTimeoutError::Timeout) => return (true, true),
            Err(RecvTimeoutError::Disconnected) => return (false, true),
        };
        while let Some(command) = next {
            match command {
                Command::Push { draft, reply } => {
                    self.group_bytes += draft.len();
                    self.group.push((draft, reply));
                }
                Command::Done(id) => self.done.push(id),
                Command::Load => self.load = true,
                Command::Close(reply) => {
                    self.closing = Some(reply);
                    return (false, false);
                }
            }
            if self.group_bytes >= GROUP_BYTES {
                break;
            }
            next = self.commands.try_recv().ok();
        }
        (true, false)
    }

    fn commit(&mut self) {
        let group = mem::take(&mut self.group);
        self.group_bytes = 0;
        if group.is_empty() && self.done.is_empty() {
            return;
        }
        let first = match self.recover() {
            Ok(first) => first,
            Err(error) => return self.refuse(group, &error),
        };
        let (drafts, replies): (Vec<_>, Vec<_>) = (first..)
            .zip(group)
            .map(|(id, (draft, reply))| ((id, draft), reply))
            .unzip();
        match self.store.commit(&drafts, &self.done) {
            Ok(totals) => {
                self.done.clear();
                self.inner.counts.commits.fetch_add(1, Relaxed);
                let mut ledger = self.inner.ledger.lock();
                ledger.stored(totals);
                for (id, draft) in drafts {
                    ledger.release(draft.len());
                    let Draft { export, came_at, .. } = draft;
                    ledger.committed(id, Held { export, came_at });
                }
                self.load |= ledger.wants_load();
                drop(ledger);
                self.inner.counts.pushed.fetch_add(replies.len() as u64, Relaxed);
                for reply in replies {
                    // Who pushed may have gone: the record is delivered all the same.
                    let _gone = reply.send(Ok(()));
                }
                self.inner.ready.notify_one();
            }
            Err(error) => {
                let drafts = drafts.into_iter().map(|(_, draft)| draft);
                self.refuse(drafts.zip(replies).collect(), &error);
            }
        }
    }

    /// After an error: opens the file anew and looks at what is there. The number for the next record.
    fn recover(&mut self) -> Result<u64, redb::Error> {
        if self.failing {
            let totals = self.store.totals()?;
            self.inner.ledger.lock().stored(totals);
            self.failing = false;
            tracing::info!(path = %self.store.path().display(), "queue.recovered");
        }
        Ok(self.inner.ledger.lock().next_id())
    }

    /// Tells those whose records may not be on disk.
    fn refuse(&mut self, group: Vec<(Draft, oneshot::Sender<Result<(), PushError>>)>, error: &redb::Error) {
        self.failed(error);
        for (draft, reply) in group {
            self.inner.ledger.lock().release(draft.len());
            let _gone = reply.send(Err(PushError::Store {
                path: self.store.path().to_owned(),
                reason: error.to_string(),
            }));
        }
    }

    fn failed(&mut self, error: &redb::Error) {
        if !mem::replace(&mut self.failing, true) {
            tracing::error!(path = %self.store.path().display(), %error, "queue.disk_failed");
        }
    }

    fn load(&mut self) {
        let loaded = self.recover().and_then(|_| {
            let (first, budget, at_least_one) = self.inner.ledger.lock().load_request();
            let loaded = self.store.load(first, budget, at_least_one)?;
            Ok((loaded, at_least_one))
        });
        match loaded {
            Ok((loaded, due)) => {
                let mut ledger = self.inner.ledger.lock();
                let damaged = ledger.loaded(loaded, due);
                self.load = ledger.wants_next();
                drop(ledger);
                if !damaged.is_empty() {
                    self.inner.counts.damaged.fetch_add(damaged.len() as u64, Relaxed);
                    tracing::error!(path = %self.store.path().display(), records = ?damaged, "queue.records_damaged");
                    self.done.extend(damaged);
                }
                self.inner.ready.notify_one();
            }
            // Tried again after a wait.
            Err(error) => self.failed(&error),
        }
    }
}
