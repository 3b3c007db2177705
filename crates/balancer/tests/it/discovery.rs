//! Members from elsewhere.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use evenkeel_balancer::{
    BackendServer, Change, Discover, DnsAnswer, DnsDiscovery, FixedList, LoadBalancer, MemberError,
    RequestContext, parse_lines,
};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::{balancer, quick};

fn ids<B>(balancer: &LoadBalancer<B>) -> Vec<String> {
    let mut ids: Vec<_> = balancer.ids().iter().map(ToString::to_string).collect();
    ids.sort_unstable();
    ids
}

fn list(entries: &[(&str, u32)]) -> Vec<BackendServer<usize>> {
    let server = |&(id, weight): &(&str, u32)| BackendServer::new(id, 0).with_weight(weight);
    entries.iter().map(server).collect()
}

#[tokio::test(start_paused = true)]
async fn a_list_keeps_the_state_of_those_it_names_again() {
    let balancer = balancer(3, quick());
    for _ in 0..3 {
        balancer
            .record_request_result("a", false, Duration::ZERO)
            .unwrap();
    }
    let in_flight = balancer.pick(&RequestContext::new()).unwrap();
    let before = balancer.stats();
    balancer
        .apply(Change::Replace(list(&[("c", 5), ("a", 1), ("d", 1)])))
        .unwrap();
    assert_eq!(ids(&balancer), ["a", "c", "d"]);
    let stats = balancer.stats();
    let a = stats
        .backends
        .iter()
        .find(|backend| backend.id.as_str() == "a")
        .unwrap();
    assert_eq!(a.breaker.opened, 1);
    let c = stats
        .backends
        .iter()
        .find(|backend| backend.id.as_str() == "c")
        .unwrap();
    assert_eq!(c.weight, 5);
    assert_eq!(stats.requests.failures, before.requests.failures);
    drop(in_flight);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_makes_no_sense_changes_nothing() {
    let mut config = quick();
    config.max_backends = 4;
    let balancer = balancer(3, config);
    let refused = |entries: &[(&str, u32)]| balancer.apply(Change::Replace(list(entries))).unwrap_err();
    assert!(matches!(refused(&[]), MemberError::Nobody));
    assert!(matches!(
        refused(&[("x", 1), ("x", 1)]),
        MemberError::Duplicate { .. }
    ));
    assert!(matches!(
        refused(&[("x", 0), ("y", 0)]),
        MemberError::AllWeightsZero { .. }
    ));
    let many = [("a", 7), ("b", 1), ("x", 1), ("y", 1), ("z", 1)];
    assert!(matches!(refused(&many), MemberError::TooMany { .. }));
    assert_eq!(ids(&balancer), ["a", "b", "c"]);
    assert!(
        balancer
            .stats()
            .backends
            .iter()
            .all(|backend| backend.weight == 1)
    );
}

#[tokio::test(start_paused = true)]
async fn who_moves_to_another_zone_starts_anew() {
    let balancer = balancer(1, quick());
    let old = balancer.backend("a").unwrap();
    let moved = BackendServer::new("a", 0).with_zone("east");
    balancer.apply(Change::Replace(vec![moved])).unwrap();
    let held = balancer.pick(&RequestContext::new()).unwrap();
    assert_eq!(old.in_flight(), 0);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_channel_pushes_changes_until_it_is_closed() {
    let balancer = balancer(1, quick());
    let (sender, receiver) = mpsc::channel(4);
    let following = balancer.follow(receiver).unwrap();
    sender
        .send(Change::Add(BackendServer::new("x", 1)))
        .await
        .unwrap();
    sender.send(Change::Remove("a".into())).await.unwrap();
    sender.send(Change::Remove("a".into())).await.unwrap();
    sender
        .send(Change::Add(BackendServer::new("x", 1).with_weight(9)))
        .await
        .unwrap();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(ids(&balancer), ["x"]);
    assert_eq!(balancer.stats().backends[0].weight, 9);
    drop(sender);
    sleep(Duration::from_millis(1)).await;
    assert!(following.is_finished());
}

#[tokio::test(start_paused = true)]
async fn following_ends_with_the_balancer_and_by_hand() {
    for by_hand in [true, false] {
        let balancer = balancer(1, quick());
        let (_sender, receiver) = mpsc::channel::<Change<usize>>(1);
        let following = balancer.follow(receiver).unwrap();
        sleep(Duration::from_millis(1)).await;
        assert!(!following.is_finished());
        if by_hand {
            following.stop();
        } else {
            drop(balancer);
        }
        sleep(Duration::from_millis(1)).await;
        assert!(following.is_finished());
    }
}

#[tokio::test(start_paused = true)]
async fn a_fixed_list_is_a_discovery_too() {
    let balancer = balancer(0, quick());
    balancer
        .follow(FixedList::new(list(&[("x", 1), ("y", 1)])))
        .unwrap();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(ids(&balancer), ["x", "y"]);
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 4317))
}

fn answer(addresses: &[u8], ttl: Option<Duration>) -> io::Result<DnsAnswer> {
    let addresses = addresses.iter().map(|&last| address(last)).collect();
    Ok(DnsAnswer { addresses, ttl })
}

#[tokio::test(start_paused = true)]
async fn a_name_is_looked_up_again_after_its_ttl_and_no_sooner() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let lookup = move |_: &str, _: u16| {
        let round = count.fetch_add(1, Ordering::SeqCst);
        let addresses: &[u8] = if round < 2 { &[1, 2] } else { &[2, 3] };
        std::future::ready(answer(addresses, Some(Duration::from_secs(20))))
    };
    let balancer = LoadBalancer::new([], quick()).unwrap();
    let names = DnsDiscovery::new("collector", 4317, Duration::from_secs(300), lookup, |address| {
        address
    });
    balancer.follow(names).unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(ids(&balancer), ["10.0.0.1:4317", "10.0.0.2:4317"]);
    sleep(Duration::from_secs(15)).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    assert_eq!(ids(&balancer), ["10.0.0.2:4317", "10.0.0.3:4317"]);
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_fails_is_asked_later_and_later_and_the_members_stay() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let lookup = move |_: &str, _: u16| {
        let round = count.fetch_add(1, Ordering::SeqCst);
        std::future::ready(match round {
            0 => answer(&[1, 2], None),
            1..40 if round.is_multiple_of(2) => answer(&[], None),
            1..40 => Err(io::Error::other("no resolver")),
            _ => answer(&[3], None),
        })
    };
    let balancer = LoadBalancer::new([], quick()).unwrap();
    let names = DnsDiscovery::new("collector", 4317, Duration::from_secs(5), lookup, |address| {
        address
    });
    balancer.follow(names).unwrap();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(ids(&balancer).len(), 2);
    let within_a_minute = asked.load(Ordering::SeqCst);
    assert!((4..=30).contains(&within_a_minute), "{within_a_minute}");
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(ids(&balancer), ["10.0.0.3:4317"]);
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_hangs_is_given_up() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let lookup = move |_: &str, _: u16| {
        let round = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if round == 0 {
                std::future::pending::<()>().await;
            }
            answer(&[1], None)
        }
    };
    let mut names = DnsDiscovery::new("collector", 1, Duration::from_secs(5), lookup, |address| address);
    assert_eq!(names.next().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert!(names.next().await.is_ok());
}

#[test]
fn lines_that_make_no_sense_are_told_by_line_and_field() {
    for (text, line, field) in [
        ("a\nb weight=-1", 2, "weight"),
        ("\n# none\nc colour=red", 3, "colour"),
        ("a fast", 1, "fast"),
    ] {
        let error = parse_lines::<String>(text).unwrap_err();
        assert_eq!((error.line, error.field.as_str()), (line, field));
    }
    let address = parse_lines::<SocketAddr>("10.0.0.1:1\nnowhere").unwrap_err();
    assert_eq!((address.line, address.field.as_str()), (2, "backend"));
    assert!(parse_lines::<String>("# nobody\n\n").unwrap().is_empty());
}

#[cfg(feature = "file")]
mod files {
    use evenkeel_balancer::{FileDiscovery, FileError};

    use super::*;

    /// A file of its own, gone at the end.
    struct Temporary(std::path::PathBuf);

    impl Temporary {
        fn new(name: &str, text: &str) -> Self {
            let file = Self(std::env::temp_dir().join(format!("evenkeel-{}-{name}", std::process::id())));
            file.write(text);
            file
        }

        fn write(&self, text: &str) {
            std::fs::write(&self.0, text).unwrap();
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    async fn settled(balancer: &LoadBalancer<String>, expected: &[&str]) {
        for _ in 0..1_000 {
            if ids(balancer) == expected {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(ids(balancer), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_changed_changes_the_members_and_one_that_breaks_does_not() {
        let file = Temporary::new("watched", "a weight=2\nb");
        let balancer = LoadBalancer::new([], quick()).unwrap();
        let parse = parse_lines::<String>;
        balancer
            .follow(FileDiscovery::new(&file.0, Duration::from_secs(1), parse))
            .unwrap();
        settled(&balancer, &["a", "b"]).await;
        file.write("b\nc");
        settled(&balancer, &["b", "c"]).await;
        for broken in ["b weight=x", ""] {
            file.write(broken);
            sleep(Duration::from_secs(5)).await;
            assert_eq!(ids(&balancer), ["b", "c"]);
        }
        file.write("d");
        settled(&balancer, &["d"]).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_not_there_or_is_no_list_is_an_error_with_its_path() {
        let missing = std::env::temp_dir().join("evenkeel-none");
        let mut absent = FileDiscovery::new(&missing, Duration::from_secs(1), parse_lines::<String>);
        let error = absent.next().await.unwrap_err();
        assert!(error.to_string().contains("evenkeel-none"), "{error}");
        let file = Temporary::new("large", &"#".repeat((1 << 20) + 1));
        let mut large = FileDiscovery::new(&file.0, Duration::from_secs(1), parse_lines::<String>);
        assert!(matches!(large.next().await, Err(FileError::TooLarge { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_is_back_with_the_same_answer_is_not_held_to_its_failures() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    // One failure in twenty; the answer is always the same.
    let lookup = move |_: &str, _: u16| {
        let round = count.fetch_add(1, Ordering::SeqCst);
        std::future::ready(if round % 20 == 19 {
            Err(io::Error::other("flaky"))
        } else {
            answer(&[1], None)
        })
    };
    let balancer = LoadBalancer::new([], quick()).unwrap();
    let names = DnsDiscovery::new("collector", 1, Duration::from_secs(1), lookup, |address| address);
    balancer.follow(names).unwrap();
    sleep(Duration::from_secs(1_800)).await;
    let asked = asked.load(Ordering::SeqCst);
    assert!(asked > 1_750, "{asked} look-ups in half an hour, of one a second");
}
