//! Configurations that make no sense: an error that names the field, when the pool is built.

use evenkeel_pool::BuildError;

use super::script::Script;
use super::*;

fn refused(builder: ConnectionPoolBuilder<Conn>) -> String {
    builder.build().expect_err("nonsense was accepted").to_string()
}

#[tokio::test]
async fn nonsense_is_refused_by_the_name_of_its_field() {
    let script = Script::opening();
    let bare = || {
        let script = script.clone();
        ConnectionPool::builder(move |target| script.clone().dial(target), config(0, 4))
    };
    let cases = [
        ("min_connections", refused(builder(&script, config(5, 4)))),
        ("max_connections", refused(builder(&script, config(0, 0)))),
        (
            "idle_timeout",
            refused(builder(
                &script,
                ConnectionPoolConfig {
                    idle_timeout: Duration::MAX,
                    ..config(0, 4)
                },
            )),
        ),
        ("addresses", refused(bare())),
        ("addresses", refused(bare().addresses([target(1), target(1)]))),
        (
            "addresses",
            refused(bare().address(std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())),
        ),
        ("weights", refused(bare().address(target(1)).weights([1, 2]))),
        ("weights", refused(bare().address(target(1)).weights([0]))),
        (
            "max_connections_per_address",
            refused(builder(
                &script,
                ConnectionPoolConfig {
                    max_connections_per_address: Some(1),
                    ..config(2, 4)
                },
            )),
        ),
    ];
    for (field, error) in cases {
        assert!(error.starts_with(field), "{field}: {error}");
    }
    assert_eq!(script.dialled(), 0);
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let script = Script::opening();
    let built = ConnectionPool::new(
        move |target| script.clone().dial(target),
        [target(1)],
        config(0, 4),
    );
    assert!(matches!(built, Err(BuildError::NoRuntime)));
}

#[tokio::test(start_paused = true)]
async fn a_minimum_that_the_addresses_have_no_room_for_is_refused_or_reached_as_far_as_may_be() {
    let script = Script::opening();
    let pool = builder(
        &script,
        ConnectionPoolConfig {
            max_connections_per_address: Some(2),
            ..config(4, 8)
        },
    )
    .address(target(2))
    .build()
    .unwrap();
    assert_eq!(pool.warm_up().await.unwrap(), 4);
    let error = pool.resize(5, 8).unwrap_err();
    assert_eq!(error.field, "max_connections_per_address");
    // Who is there is not the config's to say.
    pool.set_addresses([target(2)], &[]).unwrap();
    assert_eq!(pool.warm_up().await.unwrap(), 2);
}

#[test]
fn without_timers_there_is_an_error_and_no_pool_that_is_closed() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let script = Script::opening();
    let _inside = runtime.enter();
    let built = ConnectionPool::new(
        move |target| script.clone().dial(target),
        [target(1)],
        config(0, 4),
    );
    assert!(matches!(built, Err(BuildError::NoTimers)), "{built:?}");
}
