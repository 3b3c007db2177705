//! The loop from the queue to the collectors: what is tried again, when, and what is not.
//!
//! Time is paused and jumps whenever the runtime waits for the queue's thread; so nothing here has a time limit.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::*;
use crate::queue::{Deliver, Undelivered, deliver};

/// What a collector says to a record at an attempt, from 0.
type Answers = dyn Fn(u64, usize) -> Result<(), Undelivered> + Send + Sync;

struct Script {
    answers: Box<Answers>,
    /// When each record was tried, and how large it was.
    tried: Mutex<HashMap<u64, Vec<(Instant, usize)>>>,
}

impl Script {
    fn new(answers: impl Fn(u64, usize) -> Result<(), Undelivered> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            answers: Box::new(answers),
            tried: Mutex::default(),
        })
    }

    fn tries(&self, number: u64) -> Vec<(Instant, usize)> {
        self.tried.lock().get(&number).cloned().unwrap_or_default()
    }
}

impl Deliver for Script {
    async fn deliver(&self, export: &Export) -> Result<(), Undelivered> {
        let number = number(export);
        let attempt = {
            let mut tried = self.tried.lock();
            let tries = tried.entry(number).or_default();
            tries.push((Instant::now(), export.body().len()));
            tries.len() - 1
        };
        (self.answers)(number, attempt)
    }
}

fn again(after: Option<Duration>) -> Result<(), Undelivered> {
    Err(Undelivered::Retry { after, rest: None })
}

async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A queue with `count` records in it, and the loop at work on it.
async fn at_work(
    config: QueueConfig,
    count: u64,
    script: &Arc<Script>,
) -> (Queue, tokio::task::JoinHandle<()>) {
    let queue = on(&Disk::default(), config);
    for number in 0..count {
        queue.push(numbered(number, 100)).await.expect("there is room");
    }
    let task = tokio::spawn(deliver(queue.clone(), Arc::clone(script)));
    (queue, task)
}

#[tokio::test(start_paused = true)]
async fn what_may_be_retried_is_until_it_arrives_and_what_may_not_is_counted() {
    let script = Script::new(|number, attempt| match (number, attempt) {
        (1, _) => Err(Undelivered::Never {
            reason: "bad".to_owned(),
        }),
        (2, 0..5) => again(None),
        _ => Ok(()),
    });
    let (queue, task) = at_work(QueueConfig::default(), 4, &script).await;
    until(|| queue.stats().records == 0).await;
    let stats = queue.stats();
    assert_eq!((stats.delivered, stats.dropped, stats.retries), (3, 1, 5));
    assert_eq!(script.tries(1).len(), 1);
    queue.close().await;
    task.await.expect("ends");
}

#[tokio::test(start_paused = true)]
async fn the_waits_grow_up_to_the_longest() {
    let script = Script::new(|_, attempt| if attempt < 20 { again(None) } else { Ok(()) });
    let (queue, task) = at_work(QueueConfig::default(), 1, &script).await;
    until(|| queue.stats().records == 0).await;
    let mut most = Duration::from_millis(300);
    for pair in script.tries(0).windows(2) {
        // The timer is a millisecond coarse.
        let waited = pair[1].0 - pair[0].0;
        assert!(waited >= Duration::from_millis(100), "{waited:?}");
        assert!(
            waited <= most + Duration::from_millis(2),
            "{waited:?} of {most:?}"
        );
        most = (waited * 3).min(Duration::from_secs(5));
    }
    queue.close().await;
    task.await.expect("ends");
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_asks_for_time_gets_it_though_others_arrive() {
    let asked = Duration::from_secs(30);
    let script = Script::new(move |number, attempt| match (number, attempt) {
        (0, 0) => again(Some(asked)),
        _ => Ok(()),
    });
    let (queue, task) = at_work(QueueConfig::default(), 5, &script).await;
    until(|| !script.tries(0).is_empty()).await;
    for number in 5..8 {
        queue.push(numbered(number, 100)).await.expect("there is room");
    }
    until(|| queue.stats().records == 0).await;
    let tries = script.tries(0);
    assert!(tries[1].0 - tries[0].0 >= asked, "{:?}", tries[1].0 - tries[0].0);
    queue.close().await;
    task.await.expect("ends");
}

/// Waits of 20 s, unless they are cut short.
fn long_waits() -> QueueConfig {
    QueueConfig {
        min_backoff: Duration::from_secs(20),
        max_backoff: Duration::from_secs(20),
        ..QueueConfig::default()
    }
}

#[tokio::test(start_paused = true)]
async fn an_arrival_ends_the_waits_of_others() {
    let script = Script::new(|number, attempt| match (number, attempt) {
        (0, 0) => again(Some(Duration::ZERO)),
        (1, 0) => again(None),
        _ => Ok(()),
    });
    // Record 0 waits 20 s because it was asked to; record 2 arrives at once.
    let (queue, task) = at_work(long_waits(), 3, &script).await;
    until(|| queue.stats().delivered == 3).await;
    let waited = |number| {
        let tries = script.tries(number);
        tries[1].0 - tries[0].0
    };
    assert!(waited(1) < Duration::from_secs(19), "{:?}", waited(1));
    assert!(waited(0) >= Duration::from_secs(20), "{:?}", waited(0));
    queue.close().await;
    task.await.expect("ends");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_fails_beside_many_that_arrive_is_not_hurried_each_time() {
    let script = Script::new(|number, _| if number == 0 { again(None) } else { Ok(()) });
    let (queue, task) = at_work(long_waits(), 1, &script).await;
    for number in 1..50 {
        queue.push(numbered(number, 100)).await.expect("there is room");
        until(|| queue.stats().delivered == number).await;
    }
    let tries = script.tries(0);
    for three in tries.windows(3) {
        assert!(three[2].0 - three[0].0 >= Duration::from_secs(19), "{three:?}");
    }
    queue.close().await;
    task.await.expect("ends");
}

#[tokio::test(start_paused = true)]
async fn only_what_is_left_of_a_record_is_sent_again() {
    let script = Script::new(|number, attempt| match attempt {
        0 => Err(Undelivered::Retry {
            after: None,
            rest: Some(numbered(number, 40)),
        }),
        1 => again(None),
        _ => Ok(()),
    });
    let (queue, task) = at_work(QueueConfig::default(), 1, &script).await;
    until(|| queue.stats().records == 0).await;
    let sizes: Vec<usize> = script.tries(0).iter().map(|(_, size)| *size).collect();
    assert_eq!(sizes, [100, 40, 40]);
    queue.close().await;
    task.await.expect("ends");
}

#[tokio::test(start_paused = true)]
async fn a_record_past_its_age_is_dropped_and_counted() {
    let config = QueueConfig {
        max_age: Some(Duration::from_secs(3600)),
        ..QueueConfig::default()
    };
    let script = Script::new(|_, _| Ok(()));
    let queue = on(&Disk::default(), config);
    queue.push_from(numbered(0, 100), 0).await.expect("there is room");
    queue.push(numbered(1, 100)).await.expect("there is room");
    let task = tokio::spawn(deliver(queue.clone(), Arc::clone(&script)));
    until(|| queue.stats().records == 0).await;
    assert_eq!((queue.stats().expired, queue.stats().delivered), (1, 1));
    assert!(script.tries(0).is_empty());
    queue.close().await;
    task.await.expect("ends");
}

#[tokio::test(start_paused = true)]
async fn a_close_waits_for_no_back_off_and_keeps_the_record() {
    let disk = Disk::default();
    let queue = on(&disk, QueueConfig::default());
    queue.push(numbered(0, 100)).await.expect("there is room");
    let script = Script::new(|_, _| again(Some(Duration::from_secs(3600))));
    let task = tokio::spawn(deliver(queue.clone(), Arc::clone(&script)));
    until(|| !script.tries(0).is_empty()).await;
    let began = Instant::now();
    queue.close().await;
    task.await.expect("ends");
    assert!(began.elapsed() < Duration::from_secs(60));
    let queue = on(&disk, QueueConfig::default());
    assert_eq!(queue.stats().replayed, 1);
    queue.close().await;
}
