//! Damage, strangers, and disks that fail: an error that names the file, and nothing lost that was promised.

use std::fs;

use super::*;

fn at(dir: &tempfile::TempDir) -> QueueConfig {
    QueueConfig {
        dir: dir.path().join("queue"),
        ..QueueConfig::default()
    }
}

#[tokio::test]
async fn what_is_pushed_outlives_the_queue_and_a_second_owner_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let queue = Queue::open(at(&dir)).expect("opens");
    for number in 0..3 {
        soon(queue.push(numbered(number, 50_000)))
            .await
            .expect("there is room");
    }
    let refused = Queue::open(at(&dir)).expect_err("in use");
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
    soon(queue.close()).await;

    let queue = Queue::open(at(&dir)).expect("opens again");
    assert_eq!(queue.stats().replayed, 3);
    for expected in 0..3 {
        let lease = take(&queue).await;
        assert_eq!(lease.export(), &numbered(expected, 50_000));
        assert!(lease.age() < Duration::from_secs(3600));
        lease.acknowledge();
    }
    soon(queue.close()).await;
    let queue = Queue::open(at(&dir)).expect("opens again");
    assert_eq!(queue.stats().replayed, 0);
    soon(queue.close()).await;
}

#[test]
fn a_stranger_s_file_is_named_and_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = at(&dir);
    fs::create_dir(&config.dir).expect("made");
    let file = config.dir.join("records.redb");
    for stranger in [b"not a queue".to_vec(), vec![0xFF; 100_000]] {
        fs::write(&file, &stranger).expect("written");
        let refused = Queue::open(config.clone()).expect_err("no queue");
        assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused:?}");
        assert!(refused.to_string().contains("records.redb"), "{refused}");
        assert_eq!(fs::read(&file).expect("there"), stranger);
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("queue"), "a file").expect("written");
    let refused = Queue::open(at(&dir)).expect_err("no directory");
    assert!(matches!(refused, OpenError::Directory { .. }), "{refused:?}");
    assert!(refused.to_string().contains("queue"), "{refused}");
}

#[test]
fn a_file_of_a_later_version_is_refused() {
    let disk = Disk::default();
    let _made = open(&disk).expect("opens");
    let disk = disk.after_kill();
    let database = redb::Database::builder()
        .create_with_backend(disk.clone())
        .expect("opens");
    let transaction = database.begin_write().expect("begins");
    let numbers = redb::TableDefinition::<&str, u64>::new("numbers");
    transaction
        .open_table(numbers)
        .expect("there")
        .insert("format", 2)
        .expect("written");
    transaction.commit().expect("commits");
    drop(database);
    let refused = open(&disk.after_kill()).expect_err("from the future");
    assert!(matches!(refused, OpenError::Format { found: 2, .. }), "{refused}");
}

/// A queue that was killed with 40 records in it, its bytes, and the numbers.
async fn killed() -> Vec<u8> {
    let disk = Disk::default();
    let queue = on(&disk, QueueConfig::default());
    for number in 0..40 {
        soon(queue.push(numbered(number, 3000)))
            .await
            .expect("there is room");
    }
    let bytes = disk.after_kill().bytes();
    soon(queue.close()).await;
    bytes
}

#[tokio::test]
async fn damage_is_refused_or_counted_and_never_delivered() {
    let bytes = killed().await;
    let mut rng = fastrand::Rng::with_seed(20_261_123);
    let (mut refused, mut whole, mut damaged) = (0, 0, 0);
    for _ in 0..150 {
        let mut bytes = bytes.clone();
        let start = rng.usize(..bytes.len());
        let len = rng.usize(1..200).min(bytes.len() - start);
        rng.fill(&mut bytes[start..start + len]);
        let disk = Disk::with(bytes);
        let queue = match open(&disk) {
            Ok((store, totals)) => Queue::start(QueueConfig::default(), store, totals).expect("starts"),
            Err(error) => {
                assert!(error.to_string().contains("simulated"), "{error}");
                refused += 1;
                continue;
            }
        };
        let mut last = None;
        while let Ok(Some(lease)) = tokio::time::timeout(Duration::from_millis(20), queue.take()).await {
            let number = number(lease.export());
            assert_eq!(lease.export(), &numbered(number, 3000));
            assert!(last < Some(number));
            last = Some(number);
            lease.acknowledge();
        }
        damaged += queue.stats().damaged;
        whole += u64::from(queue.stats().damaged == 0);
        drop(queue);
    }
    assert!(
        refused > 10,
        "refused {refused}, whole {whole}, damaged records {damaged}"
    );
    assert!(
        whole > 10,
        "refused {refused}, whole {whole}, damaged records {damaged}"
    );
}

#[tokio::test]
async fn a_damaged_record_is_left_out_and_the_others_come() {
    // Cleanly closed, so that nothing is checked when it is opened.
    let disk = Disk::default();
    let queue = on(&disk, QueueConfig::default());
    for number in 0..40 {
        soon(queue.push(numbered(number, 3000)))
            .await
            .expect("there is room");
    }
    soon(queue.close()).await;
    let mut bytes = disk.bytes();
    let body = numbered(17, 3000).body().clone();
    let places: Vec<usize> = (0..bytes.len() - body.len())
        .filter(|at| bytes[*at..*at + body.len()] == body[..])
        .collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place + 2000] ^= 1;
    }

    let disk = Disk::with(bytes);
    let queue = on(&disk, QueueConfig::default());
    let mut came = Vec::new();
    for _ in 0..39 {
        let lease = take(&queue).await;
        came.push(number(lease.export()));
        lease.acknowledge();
    }
    let expected: Vec<u64> = (0..40).filter(|number| *number != 17).collect();
    assert_eq!(came, expected);
    until_empty(&queue).await;
    assert_eq!(queue.stats().damaged, 1);
    soon(queue.close()).await;
}

#[tokio::test]
async fn directories_are_made_where_there_are_none() {
    let there = tempfile::tempdir().unwrap();
    let config = QueueConfig {
        dir: there.path().join("some/way/down"),
        ..QueueConfig::default()
    };
    let queue = Queue::open(config.clone()).unwrap();
    soon(queue.push(numbered(1, 10))).await.unwrap();
    soon(queue.close()).await;
    let queue = Queue::open(config).unwrap();
    assert_eq!(queue.stats().replayed, 1);
    soon(queue.close()).await;
}

#[tokio::test]
async fn a_disk_that_fails_refuses_and_is_taken_up_again_without_a_loss() {
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..40 {
        let disk = Disk::default();
        let queue = on(&disk, QueueConfig::default());
        let mut promised = Vec::new();
        disk.fail_after(rng.usize(..60));
        let mut failed = 0;
        for number in 0..12 {
            match soon(queue.push(numbered(number, 3000))).await {
                Ok(()) => promised.push(number),
                Err(PushError::Store { path, .. }) => {
                    assert_eq!(path, PathBuf::from("simulated"));
                    failed += 1;
                    if failed == 3 {
                        disk.mend();
                    }
                }
                Err(other) => panic!("{other}"),
            }
        }
        disk.mend();
        soon(queue.push(numbered(99, 3000)))
            .await
            .expect("the disk is well again");
        promised.push(99);
        let mut came = Vec::new();
        while came.last() != Some(&99) {
            let lease = take(&queue).await;
            came.push(number(lease.export()));
            lease.acknowledge();
        }
        assert!(came.is_sorted(), "{came:?}");
        assert!(
            promised.iter().all(|number| came.contains(number)),
            "{promised:?} {came:?}"
        );
        until_empty(&queue).await;
        assert_eq!(queue.stats().bytes, 0);
        soon(queue.close()).await;
    }
}
