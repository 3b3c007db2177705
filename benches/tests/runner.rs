//! The program from outside: whole runs, and children that do not do what they should.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use evenkeel_benches::protocol::Event;
use evenkeel_benches::runner::{self, Options};
use evenkeel_benches::scenario::Params;
use evenkeel_benches::{Children, Error};

const PROGRAM: &str = env!("CARGO_BIN_EXE_evenkeel-bench");

/// Enough for every size of a test.
const DESCRIPTORS: u64 = 1000;

/// A shell script that serves as ours does, and runs `instead` where ours would run a contender. It is handed
/// to the shell by name: a file just written may not be executed while another test's fork still holds it open.
fn bad_contender(name: &str, instead: &str) -> Children {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let script = format!("if [ \"$1\" = serve ]; then exec '{PROGRAM}' \"$@\"; fi\n{instead}\n");
    std::fs::write(&path, script).unwrap();
    Children::of("sh").with_first_arg(path)
}

async fn events(children: &Children) -> Vec<Event> {
    let options = Options {
        scenarios: vec!["io".to_owned()],
        quick: true,
        repeats: Some(1),
        contenders: vec!["raw-tokio".to_owned()],
        ..Options::default()
    };
    let mut events = Vec::new();
    let mut keep = |event: Event| -> Result<(), Error> {
        events.push(event);
        Ok(())
    };
    runner::run(&options, children, DESCRIPTORS, &mut keep)
        .await
        .unwrap();
    events
}

/// The error of the one step that failed, in a run that went on to its end.
fn failure(events: &[Event]) -> &str {
    assert_eq!(events.last(), Some(&Event::Done));
    assert!(!events.iter().any(|e| matches!(e, Event::Sample { .. })));
    let mut errors = events.iter().filter_map(|e| match e {
        Event::Failed { error, .. } => Some(error.as_str()),
        _ => None,
    });
    let error = errors.next().unwrap();
    assert_eq!(errors.next(), None);
    error
}

#[tokio::test]
async fn a_child_that_dies_is_a_failed_step() {
    let children = bad_contender("dies", "echo 'error: no luck' >&2; exit 3");
    let events = events(&children).await;
    let error = failure(&events);
    assert!(error.contains("no luck") && error.contains('3'), "{error}");
}

#[tokio::test]
async fn a_child_that_is_killed_is_a_failed_step() {
    let children = bad_contender("killed", "kill -9 $$");
    assert!(failure(&events(&children).await).contains("signal: 9"));
}

#[tokio::test]
async fn a_child_that_talks_nonsense_is_a_failed_step() {
    for (name, says) in [
        ("nonsense", "hello"),
        ("empty", ""),
        ("old-shape", r#"{"samples":{"raw-tokio":{"connect_p50":1.0}}}"#),
        ("nobody", r#"{"samples":{}}"#),
        (
            "unknown-metric",
            r#"{"samples":{"raw-tokio":{"metrics":{"charm":1.0}}}}"#,
        ),
    ] {
        let children = bad_contender(name, &format!("echo '{says}'"));
        assert!(!failure(&events(&children).await).is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_child_that_hangs_is_ended() {
    let children = bad_contender("hangs", "exec sleep 1000");
    let limit = Duration::from_millis(200);
    let hung = children
        .contender("io", "raw-tokio", &Params::default(), None, limit)
        .await
        .unwrap_err();
    assert!(hung.to_string().contains("longer than 200ms"), "{hung}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_failed_step() {
    let events = events(&Children::of("/nonexistent/program")).await;
    assert!(failure(&events).contains("child process"));
}

#[test]
fn the_echo_server_ends_when_its_standard_input_does() {
    let mut server = Command::new(PROGRAM)
        .args(["serve", "echo"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut addr = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut addr)
        .unwrap();
    let mut conn = TcpStream::connect(addr.trim()).unwrap();
    conn.write_all(b"hello").unwrap();
    let mut echo = [0; 5];
    conn.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"hello");

    drop(server.stdin.take());
    assert!(server.wait().unwrap().success());
    assert_eq!(
        conn.read(&mut echo).unwrap_or(0),
        0,
        "and its connections with it"
    );
}

#[test]
fn a_run_against_a_server_elsewhere_starts_none_of_its_own() {
    let mut server = Command::new(PROGRAM)
        .args(["serve", "echo", "--listen", "[::1]:0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut addr = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut addr)
        .unwrap();
    let addr = addr.trim();
    assert!(addr.starts_with("[::1]:"), "{addr}");
    let mut args = vec![
        "run",
        "io",
        "--quick",
        "--repeat",
        "1",
        "--contender",
        "raw-tokio",
    ];
    args.extend(["--size", "connections=4,warm_up=1,rounds=2", "--connect", addr]);
    let (ok, events, error) = run(&args);
    assert!(ok, "{error}");
    assert!(
        events.iter().any(|e| matches!(e, Event::Sample { .. })),
        "{events:?}"
    );
    drop(server.stdin.take());
    assert!(server.wait().unwrap().success());
    // Gone, and nobody took its place.
    let (_, events, _) = run(&args);
    assert!(
        !events.iter().any(|e| matches!(e, Event::Sample { .. })),
        "{events:?}"
    );
}

#[test]
fn a_contender_ends_when_its_standard_input_does() {
    // Nobody ever answers on this listener, so the contender would wait for ever.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = silent.local_addr().unwrap().to_string();
    let mut child = Command::new(PROGRAM)
        .args([
            "contender",
            "io",
            "raw-tokio",
            "--size",
            "connections=1,warm_up=1,rounds=1",
        ])
        .args(["--server", &addr])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let _accepted = silent.accept().unwrap();
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

fn run(args: &[&str]) -> (bool, Vec<Event>, String) {
    let output = Command::new(PROGRAM)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let events = lines
        .lines()
        .map(|line| Event::from_line(line).unwrap())
        .collect();
    (
        output.status.success(),
        events,
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn list_prints_the_plan_and_runs_nothing() {
    let (ok, events, _) = run(&["list"]);
    assert!(ok);
    let [Event::Plan { scenarios }, Event::Done] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(scenarios[0].name, "io");
}

#[test]
fn a_wrong_name_lists_the_right_ones() {
    let (ok, events, error) = run(&["run", "oi"]);
    assert!(!ok && events.is_empty());
    assert!(
        error.contains("'oi'") && error.contains("io-pair, pool"),
        "{error}"
    );
    let (ok, _, error) = run(&["run", "io", "--contender", "nobody"]);
    assert!(!ok && error.contains("raw-tokio"), "{error}");
}

#[test]
fn a_run_measures_every_contender_of_every_scenario() {
    // Small: this is a build without optimisation, on a machine that may be busy.
    let size = "connections=16,warm_up=2,rounds=2,naive_rounds=1,slices=3,duplex_pairs=20,tcp_pairs=20,\
                operations=320,tasks=16,loans=200,contended=5,blocking=20,selections=2000,records=200,turns=1";
    let (ok, events, _) = run(&["run", "--quick", "--repeat", "1", "--size", size]);
    assert!(ok);
    let Some(Event::Plan { scenarios }) = events.first() else {
        panic!("{events:?}")
    };
    assert_eq!(events.last(), Some(&Event::Done));
    let failed: Vec<_> = events
        .iter()
        .filter(|e| matches!(e, Event::Failed { .. }))
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
    let samples = events
        .iter()
        .filter(|e| matches!(e, Event::Sample { .. }))
        .count();
    assert_eq!(samples, scenarios.iter().map(|s| s.steps as usize).sum::<usize>());
}
