//! The binary itself: its exit codes, its signals, its file.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use evenkeel_otlp::rpc::Code;

use crate::collector::Collector;
use crate::requests::one_span;
use crate::sender::{Grpc, get};
use crate::until;

const BINARY: &str = env!("CARGO_BIN_EXE_evenkeel");

/// A file that is gone with the test.
pub(crate) struct File(pub(crate) PathBuf);

impl File {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let file = Self(std::env::temp_dir().join(format!("evenkeel-{name}-{}.toml", std::process::id())));
        file.write(text);
        file
    }

    /// As editors and mounts do: another file takes its place.
    fn write(&self, text: &str) {
        let other = self.0.with_extension("new");
        std::fs::write(&other, text).unwrap();
        std::fs::rename(other, &self.0).unwrap();
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The running binary; killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) grpc: SocketAddr,
    admin: SocketAddr,
}

impl Running {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::spawn(Command::new(BINARY).arg("run").args(args))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = lines.find(|line| line.as_ref().unwrap().contains("ready to receive"));
        let ready = ready.unwrap().unwrap();
        let address = |name: &str| {
            let (_, rest) = ready.split_once(&format!(" {name}=\"")).unwrap();
            rest.split('"').next().unwrap().parse().unwrap()
        };
        let (grpc, admin) = (address("grpc"), address("admin"));
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, grpc, admin }
    }

    pub(crate) fn signal(&self, name: &str) {
        let told = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(told.success());
    }

    async fn metric(&self, line: &str) -> bool {
        get(Some(self.admin), "/metrics")
            .await
            .text()
            .contains(&format!("{line}\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn file_for(collector: &Collector, more: &str) -> String {
    format!(
        "{more}\nreceiver.grpc = \"127.0.0.1:0\"\nreceiver.http = \"off\"\nadmin.listen = \"127.0.0.1:0\"\n\
         [[collectors]]\nendpoint = \"{}\"\n",
        collector.url()
    )
}

fn run(args: &[&str]) -> Output {
    Command::new(BINARY).args(args).output().unwrap()
}

#[test]
fn check_says_what_is_wrong_with_line_and_field() {
    let file = File::new(
        "check",
        "[limits]\nrequests = 0\n[[collectors]]\nendpoint = \"http://a:4317\"\n",
    );
    let path = file.0.to_str().unwrap();
    for command in ["check", "run"] {
        let output = run(&[command, "--config", path]);
        assert_eq!(output.status.code(), Some(2), "{command}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            error.contains("line 2: limits.requests: 0 is not from 1"),
            "{error}"
        );
    }
    file.write("[[collectors]]\nendpoint = \"http://a:4317\"\n");
    let output = run(&["check", "--config", path]);
    assert!(output.status.success());
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("is good: 1 collector")
    );
    let printed = run(&["check", "--print", "--config", path]);
    file.write(&String::from_utf8(printed.stdout).unwrap());
    assert!(
        run(&["check", "--config", path]).status.success(),
        "what it prints is a config"
    );
    assert_eq!(run(&["check", "--config", "/not/there"]).status.code(), Some(2));
    assert!(!run(&["run"]).status.success(), "neither file nor backend");
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_alone_make_a_gateway_and_sigterm_ends_it_well() {
    let collector = Collector::start().await;
    let url = collector.url();
    let anywhere = ["--grpc", "127.0.0.1:0", "--http", "off", "--admin", "127.0.0.1:0"];
    let route = [
        "--route",
        "attribute=tenant",
        "--strategy",
        "maglev",
        "--threads",
        "1",
    ];
    let args = [&["--backend", &url][..], &anywhere, &route].concat();
    let mut running = Running::start(&args);
    let mut sender = Grpc::connect(Some(running.grpc)).await;
    assert_eq!(sender.export(&one_span(1)).await.status.code, Code::Ok);
    let status = get(Some(running.admin), "/status").await;
    assert!(
        status.text().contains("\"route\": \"attribute=tenant\""),
        "{}",
        status.text()
    );
    assert!(status.text().contains("\"strategy\": \"maglev\""));
    running.signal("-TERM");
    until("it ends", async || running.child.try_wait().unwrap().is_some()).await;
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_taken_over_and_a_wrong_one_refused() {
    let (first, second) = (Collector::start().await, Collector::start().await);
    let never = "reload_interval = \"1h\"";
    let file = File::new("hup", &file_for(&first, never));
    let running = Running::start(&["--config", file.0.to_str().unwrap()]);
    let mut sender = Grpc::connect(Some(running.grpc)).await;
    assert_eq!(sender.export(&one_span(1)).await.status.code, Code::Ok);

    file.write(&file_for(&second, "drain_timeout = \"forever\""));
    running.signal("-HUP");
    until("it is refused", async || {
        running
            .metric("evenkeel_reloads_total{result=\"refused\"} 1")
            .await
    })
    .await;
    assert_eq!(sender.export(&one_span(1)).await.status.code, Code::Ok);
    assert_eq!((first.count(), second.count()), (2, 0));

    file.write(&file_for(&second, never));
    running.signal("-HUP");
    until("it is taken", async || {
        running.metric("evenkeel_reloads_total{result=\"taken\"} 1").await
    })
    .await;
    assert_eq!(sender.export(&one_span(1)).await.status.code, Code::Ok);
    assert_eq!((first.count(), second.count()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_looked_at_by_itself() {
    let (first, second) = (Collector::start().await, Collector::start().await);
    let often = "reload_interval = \"50ms\"";
    let file = File::new("watch", &file_for(&first, often));
    let running = Running::start(&["--config", file.0.to_str().unwrap()]);
    file.write(&file_for(&second, often));
    until("it is taken", async || {
        running.metric("evenkeel_reloads_total{result=\"taken\"} 1").await
    })
    .await;
    let mut sender = Grpc::connect(Some(running.grpc)).await;
    assert_eq!(sender.export(&one_span(1)).await.status.code, Code::Ok);
    assert_eq!((first.count(), second.count()), (0, 1));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args = [
        "run",
        "--backend",
        "http://a:4317",
        "--grpc",
        &address,
        "--http",
        "off",
        "--admin",
        "off",
    ];
    let mut child = Command::new(BINARY)
        .args(args)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert!(error.contains(&format!("receiver.grpc = {address}")), "{error}");
}

#[tokio::test]
async fn where_descriptors_are_few_idle_connections_leave_some_for_collectors() {
    let collector = Collector::start().await;
    let more = "client.health_checks = \"none\"\nclient.balancer.hedging = false";
    let file = File::new("descriptors", &file_for(&collector, more));
    let limited = format!("ulimit -n 64 && exec {BINARY} run --config {}", file.0.display());
    let running = Running::spawn(Command::new("sh").args(["-c", &limited]));
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(tokio::net::TcpStream::connect(running.grpc).await.unwrap());
    }
    for trace in 0..3 {
        let mut sender = Grpc::connect(Some(running.grpc)).await;
        assert_eq!(sender.export(&one_span(trace)).await.status.code, Code::Ok);
    }
    // Half of them, and not one more.
    let metrics = get(Some(running.admin), "/metrics").await;
    let open = metrics
        .text()
        .lines()
        .find_map(|line| line.strip_prefix("evenkeel_connections "));
    let open: usize = open.unwrap().parse().unwrap();
    assert!((1..=32).contains(&open), "{open} connections");
}
