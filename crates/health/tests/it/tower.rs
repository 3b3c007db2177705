//! The breaker as a layer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use evenkeel_health::{
    CallError, CircuitBreaker, CircuitBreakerConfig, CircuitBreakerLayer, CircuitState, Rejected,
    TimedBreaker,
};
use evenkeel_stats::{ManualClock, Outcome};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

fn breaker() -> (TimedBreaker, ManualClock) {
    let clock = ManualClock::new();
    let config = CircuitBreakerConfig {
        circuit_breaker_threshold: 3,
        jitter: 0.0,
        ..CircuitBreakerConfig::default()
    };
    let breaker = Arc::new(CircuitBreaker::new(config).unwrap());
    (TimedBreaker::with_clock(breaker, Arc::new(clock.clone())), clock)
}

#[tokio::test]
async fn a_sick_service_is_spared_and_tried_again_by_one() {
    let (breaker, clock) = breaker();
    let (calls, well) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let inner = {
        let (calls, well) = (calls.clone(), well.clone());
        service_fn(move |request: usize| {
            calls.fetch_add(1, Ordering::SeqCst);
            let well = well.load(Ordering::SeqCst) == 1;
            async move {
                if well {
                    Ok(request)
                } else {
                    Err(io::Error::other("sick"))
                }
            }
        })
    };
    let service = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breaker.clone()))
        .service(inner);
    for _ in 0..10 {
        let _ = service.clone().oneshot(1).await;
    }
    assert_eq!(calls.load(Ordering::SeqCst), 3, "clones share the breaker");
    let error = service.clone().oneshot(1).await.unwrap_err();
    assert!(
        matches!(error, CallError::Rejected(Rejected::Open { .. })),
        "{error:?}"
    );

    clock.advance(Duration::from_secs(1));
    well.store(1, Ordering::SeqCst);
    let mut first = service.clone();
    // Who is ready and sends nothing holds no permit.
    let _ready = service.clone().ready_oneshot().await.unwrap();
    let trial = first.ready().await.unwrap().call(7);
    let second = service.clone().oneshot(8).await;
    assert!(
        matches!(second, Err(CallError::Rejected(Rejected::OnTrial))),
        "{second:?}"
    );
    assert_eq!(trial.await.unwrap(), 7);
    assert_eq!(breaker.breaker().state(), CircuitState::Closed);
    assert_eq!(service.oneshot(9).await.unwrap(), 9);
}

#[tokio::test]
async fn a_call_that_is_given_up_gives_its_permit_back() {
    let (breaker, clock) = breaker();
    let hangs = service_fn(|fail: bool| async move {
        if fail {
            return Err(io::Error::other("sick"));
        }
        std::future::pending::<io::Result<()>>().await
    });
    let mut service = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breaker.clone()))
        .service(hangs);
    for _ in 0..3 {
        service.ready().await.unwrap().call(true).await.unwrap_err();
    }
    clock.advance(Duration::from_secs(1));
    for _ in 0..3 {
        drop(service.ready().await.unwrap().call(false));
    }
    assert_eq!(breaker.breaker().state(), CircuitState::HalfOpen);
    let trial = service.ready().await.unwrap().call(false);
    assert!(service.ready().await.unwrap().call(true).await.is_err());
    drop(trial);
}

#[tokio::test]
async fn what_counts_is_the_callers_to_say() {
    let (breaker, _) = breaker();
    let outcome_of = |result: &Result<u16, io::Error>| match result {
        Ok(status) if *status < 500 => Outcome::Success,
        _ => Outcome::Failure,
    };
    let layer = CircuitBreakerLayer::with_outcome(breaker.clone(), outcome_of);
    let mut service = ServiceBuilder::new()
        .layer(layer)
        .service(service_fn(
            |status: u16| async move { Ok::<_, io::Error>(status) },
        ));
    for status in [200, 404, 404, 404, 404, 500, 502, 503] {
        assert_eq!(breaker.breaker().state(), CircuitState::Closed);
        assert_eq!(service.ready().await.unwrap().call(status).await.unwrap(), status);
    }
    assert_eq!(breaker.breaker().state(), CircuitState::Open);
}
