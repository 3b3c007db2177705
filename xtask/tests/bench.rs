//! `cargo xtask bench` from outside, with runners made of a few lines of shell.
#![cfg(unix)]
#![allow(
    clippy::expect_used,
    reason = "clippy takes the helpers of a test for something else"
)]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// What every runner here plans: two contenders, two repeats.
const PLAN: &str = r#"{"event":"plan","scenarios":[{"name":"io","question":"How fast?","contenders":[{"name":"ours","role":"ours"},{"name":"raw"}],"baseline":"raw","metrics":[{"name":"p50","unit":"us","better":"lower","about":""}],"repeats":2,"steps":4}]}"#;

/// One pair of samples.
const PAIR: &str = r#"{"event":"sample","scenario":"io","contender":"ours","repeat":0,"metrics":{"p50":8}}
{"event":"sample","scenario":"io","contender":"raw","repeat":0,"metrics":{"p50":10}}"#;

/// A folder with a runner in it, gone when dropped.
struct Place(PathBuf);

impl Place {
    /// A runner that lists the plan, and after the plan and a pair of samples does `then`.
    ///
    /// The runner is the shell: told `list` or `run`, it reads the file of that name. A script that
    /// was just written could not be started while another test's child still holds it open.
    fn new(name: &str, then: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("xtask-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let list = format!("cat <<'END'\n{PLAN}\n{{\"event\":\"done\"}}\nEND\n");
        let run = format!("echo \"asked: $*\" >&2\ncat <<'END'\n{PLAN}\n{PAIR}\nEND\n{then}\n");
        std::fs::write(folder.join("list"), list).expect("a script");
        std::fs::write(folder.join("run"), run).expect("a script");
        Self(folder)
    }

    fn bench(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .arg("bench")
            .args(args)
            .args(["--runner", "sh"])
            .current_dir(&self.0);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn output(&self, args: &[&str]) -> (Output, String, String) {
        let output = self.bench(args).output().expect("it ran");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        (output, out, err)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const DONE: &str = "echo '{\"event\":\"done\"}'";

#[test]
fn a_whole_run_prints_a_table_and_writes_the_file() {
    let place = Place::new("whole", DONE);
    let (output, out, err) = place.output(&[
        "io",
        "--quick",
        "--repeat",
        "2",
        "--contender",
        "ours",
        "--json",
        "run.json",
    ]);
    assert!(output.status.success(), "{err}");
    assert!(out.contains("×0.800 (0.800 .. 0.800)"), "{out}");
    assert!(
        err.contains("asked: io --peers all --quick --repeat 2 --contender ours"),
        "{err}"
    );
    let file = std::fs::read_to_string(place.0.join("run.json")).expect("written");
    assert!(file.contains("\"complete\":true"), "{file}");
}

#[test]
fn a_runner_that_dies_costs_only_what_it_had_not_given() {
    let place = Place::new("dies", "echo 'out of descriptors' >&2; kill -9 $$");
    let (output, out, err) = place.output(&["--json", "run.json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(out.contains("×0.800"), "{out}");
    for part in [
        "ended before it was done",
        "signal: 9",
        "out of descriptors",
        "\"contender\":\"raw\"",
    ] {
        assert!(err.contains(part), "{part} is not in {err}");
    }
    let file = std::fs::read_to_string(place.0.join("run.json")).expect("written");
    assert!(file.contains("\"complete\":false"), "{file}");
}

#[test]
fn nonsense_is_shown_and_ends_the_runner() {
    let place = Place::new("nonsense", "echo 'listening on 8080'; sleep 1000");
    let (output, out, err) = place.output(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(out.contains("×0.800"), "{out}");
    assert!(err.contains("listening on 8080"), "{err}");
}

#[test]
fn a_failed_step_is_shown_and_fails_the_command() {
    let failed = r#"{"event":"failed","scenario":"io","contender":"ours","repeat":1,"error":"refused"}"#;
    let place = Place::new("step", &format!("echo '{failed}'; {DONE}"));
    let (output, out, _) = place.output(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(out.contains("FAILED: ours #2: refused"), "{out}");
}

#[test]
fn a_runner_that_is_done_and_then_fails_is_no_success() {
    let place = Place::new("badend", &format!("{DONE}; exit 7"));
    let (output, _, err) = place.output(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains("exit status: 7"), "{err}");
}

#[test]
fn wrong_names_and_files_that_cannot_be_written_run_nothing() {
    let place = Place::new("wrong", DONE);
    for (args, says) in [
        (["oi"].as_slice(), "there is no scenario `oi`; there are: io"),
        (
            &["--contender", "us"],
            "there is no contender `us`; there are: ours, raw",
        ),
        (&["--peers", "ours"], "there is no peer `ours`; there are: raw"),
        (&["--json", "absent/run.json"], "absent/run.json"),
        (&["--report", "list"], "cannot make the folder list"),
        (&["--baseline", "absent.json"], "absent.json"),
        (&["--baseline", "list"], "is no run"),
    ] {
        let (output, _, err) = place.output(args);
        assert_eq!(output.status.code(), Some(1));
        assert!(err.contains(says) && !err.contains("asked:"), "{err}");
    }
}

#[test]
fn the_report_is_one_page_and_can_be_made_again_from_the_file() {
    let place = Place::new("report", DONE);
    let (output, _, err) = place.output(&["--json", "run.json", "--report", "out/first"]);
    assert!(output.status.success(), "{err}");
    let page = |name: &str| std::fs::read_to_string(place.0.join(name)).expect("written");
    assert!(page("out/first/index.html").contains("class=\"mark"));
    assert_eq!(
        std::fs::read_dir(place.0.join("out/first"))
            .expect("there")
            .count(),
        1
    );
    let mut again = Command::new(env!("CARGO_BIN_EXE_xtask"));
    again
        .current_dir(&place.0)
        .args(["bench", "--from", "run.json", "--report", "out/second"]);
    assert!(again.output().expect("it ran").status.success());
    assert_eq!(page("out/first/index.html"), page("out/second/index.html"));
}

#[test]
fn a_run_that_is_no_record_writes_no_page_of_figures() {
    let failed = r#"{"event":"failed","scenario":"io","contender":"ours","repeat":1,"error":"refused"}"#;
    let place = Place::new("unfit", &format!("echo '{failed}'; {DONE}"));
    let (output, out, err) = place.output(&["--record"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        out.contains("FAILED: ours #2") && err.contains("has steps that failed"),
        "{err}"
    );
}

/// Samples of five repeats, ours taking `ours` times as long as raw.
fn five(ours: f64) -> String {
    let pairs = (0..5).map(|repeat| {
        format!(
            "{{\"event\":\"sample\",\"scenario\":\"io\",\"contender\":\"ours\",\"repeat\":{repeat},\"metrics\":{{\"p50\":{}}}}}\n\
             {{\"event\":\"sample\",\"scenario\":\"io\",\"contender\":\"raw\",\"repeat\":{repeat},\"metrics\":{{\"p50\":10}}}}\n",
            ours * 10.0
        )
    });
    format!("cat <<'MORE'\n{}MORE\n{DONE}", pairs.collect::<String>())
}

#[test]
fn a_comparison_fails_when_ours_got_worse_and_only_then() {
    let (fast, slow) = (Place::new("fast", &five(1.0)), Place::new("slow", &five(1.2)));
    for place in [&fast, &slow] {
        let (output, _, err) = place.output(&["--json", "run.json"]);
        assert!(output.status.success(), "{err}");
    }
    let file = |place: &Place| place.0.join("run.json").display().to_string();
    let compare = |old: &str, new: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["compare", old, new])
            .output()
            .expect("it ran");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let (status, out) = compare(&file(&fast), &file(&slow));
    assert!(
        status == Some(1) && out.contains("| io ours p50 | ours | 1.200 |"),
        "{out}"
    );
    assert_eq!(compare(&file(&slow), &file(&fast)).0, Some(0));
    assert_eq!(compare(&file(&fast), &file(&fast)).0, Some(0));
    assert_eq!(compare(&file(&fast), "absent.json").0, Some(2));
    let (output, out, _) = slow.output(&["--baseline", &file(&fast)]);
    assert!(
        output.status.code() == Some(1) && out.contains("## Worse"),
        "{out}"
    );
}

#[test]
fn the_list_runs_nothing() {
    let place = Place::new("list", DONE);
    let (output, out, err) = place.output(&["--list"]);
    assert!(output.status.success() && out.contains("How fast?"), "{out}{err}");
    assert!(!err.contains("asked:"), "{err}");
}

/// Waits until the runner says on standard error that it has come to its end.
fn until_waiting(child: &mut Child) -> String {
    let mut heard = String::new();
    let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    for line in lines.map_while(Result::ok) {
        if line == "waiting" {
            break;
        }
        heard.push_str(&line);
    }
    heard
}

#[test]
fn ctrl_c_ends_the_runner_with_its_servers_and_prints_what_is_complete() {
    let place = Place::new(
        "interrupt",
        "sleep 1000 & echo $! > server; echo waiting >&2; wait",
    );
    let mut child = place.bench(&["--json", "run.json"]).spawn().expect("it runs");
    until_waiting(&mut child);
    let told = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("there is a kill");
    assert!(told.success());
    let output = child.wait_with_output().expect("it ended");
    assert_eq!(output.status.code(), Some(130));
    assert!(String::from_utf8_lossy(&output.stdout).contains("×0.800"));
    let file = std::fs::read_to_string(place.0.join("run.json")).expect("written");
    assert!(file.contains("interrupted"), "{file}");
    let server = std::fs::read_to_string(place.0.join("server")).expect("its number");
    assert!((0..1000).any(|_| is_gone(server.trim())), "the server lives");
}

/// Whether a process has ended; at most its new parent has not collected it yet.
fn is_gone(process: &str) -> bool {
    let signal = Command::new("kill")
        .args(["-0", process])
        .stderr(Stdio::null())
        .status()
        .expect("there is a kill");
    let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    !signal.success() || state.contains(") Z ")
}
