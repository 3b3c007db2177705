use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroUsize;

use super::*;

/// Everything a resolver says of a name, in batches.
async fn ask(resolver: &dyn Resolve, host: &str) -> io::Result<Vec<Vec<IpAddr>>> {
    let (answers, mut batches) = Answers::channel();
    resolver.resolve(host, answers).await?;
    let mut found = Vec::new();
    while let Some(batch) = batches.recv().await {
        found.push(batch.iter().map(SocketAddr::ip).collect());
    }
    Ok(found)
}

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

fn v6(last: u16) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).into()
}

#[tokio::test]
async fn a_table_gives_each_address_once_in_order() {
    let resolver = StaticResolver::new()
        .with("Name.example", [v4(1), v6(1), v4(1)])
        .with("name.example.", [v6(1), v4(2)]);
    for host in ["name.example", "NAME.example."] {
        assert_eq!(ask(&resolver, host).await.unwrap(), [[v4(1), v6(1), v4(2)]]);
    }
}

#[tokio::test]
async fn a_name_outside_the_table_is_an_error_or_goes_to_the_fallback() {
    let resolver = StaticResolver::new().with("a", [v4(1)]);
    let error = ask(&resolver, "b").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);

    let resolver = resolver.with_fallback(StaticResolver::new().with("b", [v4(2)]));
    assert_eq!(ask(&resolver, "b").await.unwrap(), [[v4(2)]]);
}

#[tokio::test]
async fn the_system_knows_localhost_and_hands_its_permit_back() {
    let resolver = SystemResolver::with_limit(NonZeroUsize::MIN);
    for _ in 0..3 {
        let found = ask(&resolver, "localhost").await.unwrap();
        assert!(found[0].iter().all(IpAddr::is_loopback), "{found:?}");
    }
}

#[test]
fn a_long_list_of_one_family_does_not_push_out_the_other() {
    let (answers, mut batches) = Answers::channel();
    answers.push((0..100).map(v4).chain([v6(1)]));
    let batch = batches.try_recv().unwrap();
    assert_eq!(batch.len(), MAX_ADDRESSES_PER_FAMILY + 1);
    assert_eq!(batch.last().map(SocketAddr::ip), Some(v6(1)));
}

#[test]
fn a_resolver_that_floods_does_not_grow_the_queue() {
    let (answers, mut batches) = Answers::channel();
    for _ in 0..1000 {
        answers.push([v4(1)]);
    }
    let mut waiting = 0;
    while batches.try_recv().is_ok() {
        waiting += 1;
    }
    assert_eq!(waiting, MAX_WAITING_BATCHES);
}

#[test]
fn pushing_after_the_race_is_over_does_no_harm() {
    let (answers, batches) = Answers::channel();
    drop(batches);
    answers.push([v4(1)]);
}

#[test]
fn a_link_local_address_keeps_its_zone() {
    let (answers, mut batches) = Answers::channel();
    answers.push_addrs(["[fe80::1%7]:99".parse().unwrap()]);
    assert_eq!(batches.try_recv().unwrap(), ["[fe80::1%7]:0".parse().unwrap()]);
}
