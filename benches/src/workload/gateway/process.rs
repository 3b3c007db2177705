//! A program that takes part, and what it costs.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::Error;

/// A program has this long to listen, and to end when it is asked to.
const GRACE: Duration = Duration::from_secs(10);

/// How often to look.
const LOOK: Duration = Duration::from_millis(10);

/// A running program. Killed when dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    name: String,
    /// Held open: sinks end when it is closed.
    _stdin: Option<ChildStdin>,
    /// The last line of its standard error, and the task that reads it, for as long as it runs.
    complaint: Arc<Mutex<String>>,
    _reader: JoinHandle<()>,
}

impl Process {
    pub(super) fn start(name: &str, command: &mut Command) -> Result<Self, Error> {
        let spawned = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = spawned.map_err(|e| Error::contender(&format!("cannot start {name}"), e))?;
        let complaint = Arc::new(Mutex::new(String::new()));
        let reader = tokio::spawn(listen(child.stderr.take(), complaint.clone()));
        Ok(Self {
            _stdin: child.stdin.take(),
            child,
            name: name.to_owned(),
            complaint,
            _reader: reader,
        })
    }

    /// The last word of the first line it prints, as an address.
    pub(super) async fn announced(&mut self) -> Result<SocketAddr, Error> {
        let mut line = String::new();
        if let Some(stdout) = &mut self.child.stdout {
            let mut stdout = BufReader::new(stdout.take(4096));
            let read = timeout(GRACE, stdout.read_line(&mut line)).await;
            let read = read.map_err(|_| Error::Contender(format!("{} says nothing", self.name)))?;
            read.map_err(Error::io("cannot read what a program says"))?;
        }
        let address = line.trim().rsplit(' ').next().and_then(|word| word.parse().ok());
        match address {
            Some(address) => Ok(address),
            None => Err(self
                .complaint(&format!("said '{}', no address", line.trim()))
                .await),
        }
    }

    /// Waits until somebody listens there.
    pub(super) async fn listens(&mut self, at: SocketAddr) -> Result<(), Error> {
        let start = Instant::now();
        while tokio::net::TcpStream::connect(at).await.is_err() {
            let ended = self
                .child
                .try_wait()
                .map_err(Error::io("cannot look after a program"))?;
            if let Some(status) = ended {
                return Err(self.complaint(&format!("ended with {status}")).await);
            }
            if start.elapsed() > GRACE {
                return Err(self.complaint(&format!("does not listen on {at}")).await);
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// What went wrong, with the last line of its standard error.
    async fn complaint(&mut self, what: &str) -> Error {
        // The reader may be behind.
        sleep(LOOK).await;
        let last = self.complaint.lock();
        let last = if last.is_empty() { "without a word" } else { &last };
        Error::Contender(format!("{} {what}: {last}", self.name))
    }

    /// Kills it, and waits until it is dead.
    pub(super) async fn kill(&mut self) -> Result<(), Error> {
        self.child
            .kill()
            .await
            .map_err(Error::io("cannot kill a program"))
    }

    /// Asks it to end, and waits; makes it end if it does not.
    pub(super) async fn stop(mut self) -> Result<(), Error> {
        if let Some(pid) = self.pid() {
            // It may have ended by itself.
            let _ = kill(pid, Signal::SIGTERM);
        }
        match timeout(GRACE, self.child.wait()).await {
            Ok(ended) => ended.map(drop).map_err(Error::io("cannot wait for a program")),
            Err(_) => self.kill().await,
        }
    }

    fn pid(&self) -> Option<Pid> {
        self.child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .map(Pid::from_raw)
    }

    /// It and the processes it started.
    fn family(&self) -> Vec<Pid> {
        let mut family: Vec<Pid> = self.pid().into_iter().collect();
        let mut at = 0;
        while let Some(&pid) = family.get(at) {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
            let children = children.unwrap_or_default();
            let pids = children.split_whitespace().filter_map(|pid| pid.parse().ok());
            family.extend(pids.map(Pid::from_raw));
            at += 1;
        }
        family
    }

    /// CPU time that it has used so far, in its own code and in the kernel on its behalf, workers included.
    pub(super) fn cpu(&self) -> Result<Duration, Error> {
        let ticks_a_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
        let mut ticks = 0;
        for pid in self.family() {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
            let stat = stat.map_err(Error::io("cannot read CPU time"))?;
            // The name, in parentheses, may have spaces in it; the 14th and 15th field are user and system.
            let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
            let fields = after.split_whitespace().skip(11).take(2);
            ticks += fields.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
        }
        Ok(Duration::from_secs_f64(ticks as f64 / ticks_a_second as f64))
    }

    /// Memory in RAM, in bytes, workers included; what several share is counted once.
    pub(super) fn memory(&self) -> Result<u64, Error> {
        let mut kilobytes = 0;
        for pid in self.family() {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
            let text = text.map_err(Error::io("cannot read memory"))?;
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
            let value = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
            kilobytes += value.ok_or_else(|| Error::Contender("smaps_rollup has no Pss".to_owned()))?;
        }
        Ok(kilobytes * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The workers too: killed alone, a master leaves them behind.
        for pid in self.family() {
            // It may have ended meanwhile.
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

/// Reads to the end, so that nobody waits for room in a pipe, and keeps the last line.
async fn listen(stderr: Option<ChildStderr>, complaint: Arc<Mutex<String>>) {
    let Some(stderr) = stderr else { return };
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if !line.trim().is_empty() {
            *complaint.lock() = line;
        }
    }
}

/// A port of 127.0.0.1 that was free a moment ago: for programs that must be told one.
pub(super) fn free_address() -> Result<SocketAddr, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map_err(Error::io("cannot find a free port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_program_and_its_children_cost_is_seen() {
        let script = "sh -c 'while :; do :; done' & echo at 127.0.0.1:9; wait";
        let mut process = Process::start("sh", Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!(process.announced().await.unwrap(), "127.0.0.1:9".parse().unwrap());
        while process.cpu().unwrap() < Duration::from_millis(50) {
            tokio::task::yield_now().await;
        }
        assert!(process.memory().unwrap() > 0);
        for pid in process.family() {
            kill(pid, Signal::SIGKILL).unwrap();
        }
    }

    #[tokio::test]
    async fn a_program_that_ends_is_quoted() {
        let script = "echo no such luck >&2; exit 3";
        let mut process = Process::start("sh", Command::new("sh").args(["-c", script])).unwrap();
        let error = process
            .listens(free_address().unwrap())
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("no such luck"), "{error}");
    }
}
