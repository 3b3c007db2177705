//! Connections to backends that die, hang and come back.

use std::io;
use std::time::Duration;

use evenkeel::balancer::Tried;
use evenkeel::pool::PooledConnection;
use evenkeel::{Backend, BuildError, Client, Config, HealthChecks, Repeat, RequestContext};
use evenkeel_testkit::{Backend as Server, Behaviour, BlackHole, Refusing};

/// A client of these that learns from requests only.
fn client(backends: Vec<Backend>) -> Client {
    Client::new(config(backends)).unwrap()
}

fn config(backends: Vec<Backend>) -> Config {
    Config {
        backends,
        health_checks: HealthChecks::None,
        ..Config::default()
    }
}

fn at(server: &Server) -> Backend {
    Backend::new(server.addr().into())
}

async fn exchange(mut connection: PooledConnection) -> Result<[u8; 4], io::Error> {
    connection.write_all(b"ahoy").await?;
    let mut answer = [0; 4];
    connection.read_exact(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_backend_that_refuses_costs_no_connection() {
    let dead = Refusing::start().unwrap();
    let alive = Server::start(Behaviour::Echo).await.unwrap();
    let client = client(vec![Backend::new(dead.addr().into()), at(&alive)]);
    for _ in 0..50 {
        let mut lease = client.connection().await.unwrap();
        lease.write_all(b"ahoy").await.unwrap();
        lease.read_exact(&mut [0; 4]).await.unwrap();
        assert_eq!(lease.id().as_str(), alive.addr().to_string());
        lease.succeed();
    }
    let stats = client.stats();
    assert_eq!(stats.balancer.requests.successes, 50);
    // One connection, used again and again.
    assert_eq!(alive.accepted(), 1);
}

#[tokio::test]
async fn with_all_backends_dead_the_error_names_each() {
    let dead = [Refusing::start().unwrap(), Refusing::start().unwrap()];
    let client = client(dead.iter().map(|dead| Backend::new(dead.addr().into())).collect());
    let error = client.connection().await.unwrap_err();
    for dead in &dead {
        assert!(error.to_string().contains(&dead.addr().to_string()), "{error}");
    }
    assert_eq!(error.tried().count(), 3);
    assert_eq!(client.stats().balancer.requests.in_flight, 0);
}

#[tokio::test]
async fn the_time_of_a_request_bounds_the_wait_for_its_connection() {
    let hole = BlackHole::start().await.unwrap();
    let client = client(vec![Backend::new(hole.addr().into())]);
    // A dial alone may take 5 s.
    let request = RequestContext::new().with_timeout(Duration::from_millis(50));
    let ended = tokio::time::timeout(Duration::from_secs(4), client.connection_for(&request)).await;
    assert!(ended.expect("it waits for the dial").is_err());
    assert_eq!(client.stats().balancer.requests.in_flight, 0);
}

#[tokio::test]
async fn a_backend_that_the_caller_has_tried_is_left_out_of_every_attempt() {
    let (one, dead) = (
        Server::start(Behaviour::Echo).await.unwrap(),
        Refusing::start().unwrap(),
    );
    let other = Server::start(Behaviour::Echo).await.unwrap();
    let client = client(vec![at(&one), Backend::new(dead.addr().into()), at(&other)]);
    let mut tried = Tried::new();
    tried.add(&client.balancer().backend(&one.addr().to_string()).unwrap());
    for _ in 0..20 {
        let lease = client
            .connection_for(&RequestContext::new().with_tried(&tried))
            .await
            .unwrap();
        assert_eq!(lease.id().as_str(), other.addr().to_string());
        lease.succeed();
    }
}

#[tokio::test]
async fn a_request_that_a_backend_cuts_is_answered_by_another() {
    let cut = Server::start(Behaviour::ResetOnFirstByte).await.unwrap();
    let alive = Server::start(Behaviour::Echo).await.unwrap();
    let client = client(vec![at(&cut), at(&alive)]);
    let request = RequestContext::new().with_repeat(Repeat::Always);
    for _ in 0..50 {
        assert_eq!(client.call(&request, exchange).await.unwrap(), *b"ahoy");
    }
    assert_eq!(client.stats().balancer.requests.in_flight, 0);
}

#[tokio::test]
async fn a_call_runs_in_a_task_of_its_own_with_a_function_or_a_closure() {
    let server = Server::start(Behaviour::Echo).await.unwrap();
    let client = client(vec![at(&server)]);
    let other = client.clone();
    let function = tokio::spawn(async move {
        let request = RequestContext::new();
        other.call(&request, exchange).await.is_ok()
    });
    let closure = tokio::spawn(async move {
        let (request, word) = (RequestContext::new(), "ahoy".to_owned());
        let sent = client.call(&request, |mut connection| {
            let word = &word;
            async move { connection.write_all(word.as_bytes()).await }
        });
        sent.await.is_ok()
    });
    assert!(function.await.unwrap());
    assert!(closure.await.unwrap());
}

#[tokio::test]
async fn a_request_that_may_not_be_repeated_is_not() {
    let cut = Server::start(Behaviour::ResetOnFirstByte).await.unwrap();
    let client = client(vec![at(&cut)]);
    let error = client.call(&RequestContext::new(), exchange).await.unwrap_err();
    assert_eq!(error.attempts().len(), 1, "{error}");
    assert_eq!(cut.accepted(), 1);
}

#[tokio::test]
async fn a_call_given_up_leaves_nothing_in_flight_and_no_half_used_connection() {
    let silent = Server::start(Behaviour::Silent).await.unwrap();
    let client = client(vec![at(&silent)]);
    let request = RequestContext::new();
    let call = client.call(&request, exchange);
    assert!(
        tokio::time::timeout(Duration::from_millis(50), call)
            .await
            .is_err()
    );
    let stats = client.stats();
    assert_eq!(stats.balancer.requests.in_flight, 0);
    let (_, pool) = &stats.pools[0];
    assert_eq!((pool.idle, pool.used), (0, 0));
}

#[tokio::test]
async fn a_lease_dropped_without_a_word_is_no_success_and_no_failure() {
    let server = Server::start(Behaviour::Echo).await.unwrap();
    let client = client(vec![at(&server)]);
    drop(client.connection().await.unwrap());
    let requests = client.stats().balancer.requests;
    assert_eq!((requests.successes, requests.cancelled), (0, 1));
}

#[tokio::test]
async fn a_backend_added_at_run_time_is_used_and_one_removed_is_not() {
    let (old, new) = (
        Server::start(Behaviour::Echo).await.unwrap(),
        Server::start(Behaviour::Echo).await.unwrap(),
    );
    let client = client(vec![at(&old)]);
    client.add(&at(&new)).unwrap();
    assert!(matches!(client.add(&at(&new)), Err(BuildError::Member(_))));
    client.balancer().remove(&old.addr().to_string()).unwrap();
    for _ in 0..5 {
        let lease = client.connection().await.unwrap();
        assert_eq!(lease.id().as_str(), new.addr().to_string());
        lease.succeed();
    }
}

#[tokio::test]
async fn a_health_check_takes_a_dead_backend_out_without_a_request() {
    let dead = Refusing::start().unwrap();
    let alive = Server::start(Behaviour::Echo).await.unwrap();
    let mut config = config(vec![Backend::new(dead.addr().into()), at(&alive)]);
    config.health_checks = HealthChecks::Tcp;
    let client = Client::new(config).unwrap();
    let backend = client.balancer().backend(&dead.addr().to_string()).unwrap();
    let out = async {
        while backend.readiness(client.balancer().clock().now()).is_eligible() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), out).await.unwrap();
    assert_eq!(client.stats().balancer.requests.failures, 0);
}

#[cfg(feature = "http-checks")]
#[tokio::test]
async fn a_backend_whose_path_says_503_is_out_and_one_that_says_200_is_not() {
    const SICK: Behaviour =
        Behaviour::Answer("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
    const WELL: Behaviour = Behaviour::Answer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let (sick, well) = (
        Server::start(SICK).await.unwrap(),
        Server::start(WELL).await.unwrap(),
    );
    let mut config = config(vec![at(&sick), at(&well)]);
    config.health_checks = HealthChecks::Http;
    let client = Client::new(config).unwrap();
    let readiness = |server: &Server| {
        let backend = client.balancer().backend(&server.addr().to_string()).unwrap();
        backend.readiness(client.balancer().clock().now())
    };
    let out = async {
        while readiness(&sick).is_eligible() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), out).await.unwrap();
    assert!(readiness(&well).is_eligible());
    assert!(well.accepted() > 0);
}

#[tokio::test]
async fn a_shutdown_waits_for_what_is_out_and_cuts_what_stays() {
    let server = Server::start(Behaviour::Echo).await.unwrap();
    let client = client(vec![at(&server)]);
    let lease = client.connection().await.unwrap();
    let kept = client.connection().await.unwrap();
    let (report, ()) = tokio::join!(client.shutdown(Duration::from_millis(200)), async {
        tokio::task::yield_now().await;
        lease.succeed();
    });
    assert_eq!((report.drained, report.cut), (1, 1));
    assert!(client.connection().await.is_err());
    drop(kept);
    assert_eq!(client.io().stats().active_connections, 0);
}

#[tokio::test]
async fn a_field_that_makes_no_sense_is_named_with_its_part() {
    let server = Server::start(Behaviour::Echo).await.unwrap();
    let mut wrong = config(vec![at(&server)]);
    wrong.pool.max_connections = 0;
    let error = Client::new(wrong).unwrap_err().to_string();
    assert!(error.contains("pool: max_connections = 0"), "{error}");
    let mut wrong = config(vec![at(&server)]);
    wrong.io.connect_timeout = Duration::ZERO;
    let error = Client::new(wrong).unwrap_err().to_string();
    assert!(error.contains("io: connect_timeout"), "{error}");
    let mut wrong = config(vec![]);
    wrong.balancer.retry_delay = Duration::MAX;
    let error = Client::new(wrong).unwrap_err().to_string();
    assert!(error.contains("retry_delay"), "{error}");
    let twice = Client::new(config(vec![at(&server), at(&server)])).unwrap_err();
    assert!(twice.to_string().contains(&server.addr().to_string()), "{twice}");
}
