//! Child processes: started, listened to, and never left behind.
//!
//! A child ends when its standard input does, so it goes with its parent however the parent ends; it is killed
//! when its handle is dropped; and it is killed when its time is up.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use crate::scenario::Params;
use crate::server::{LOOPBACK, ServerKind};
use crate::{Error, Report};

/// A server has this long to say where it listens, and this long to end.
const SERVER_GRACE: Duration = Duration::from_secs(10);

/// No more of a child's output than this is read.
const MOST_OUTPUT: u64 = 1 << 20;

/// Starts this program again as a server or as a contender.
#[derive(Debug, Clone)]
pub struct Children {
    program: PathBuf,
    first_args: Vec<OsString>,
    evenkeel: Option<PathBuf>,
}

/// A server in its own process. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    addr: SocketAddr,
}

impl Server {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Hands it a line on its standard input.
    ///
    /// # Errors
    /// When it is gone.
    pub async fn tell(&mut self, line: &str) -> Result<(), Error> {
        let stdin = self.stdin.as_mut();
        let stdin = stdin.ok_or_else(|| Error::Child("the server is gone".to_owned()))?;
        let told = stdin.write_all(format!("{line}\n").as_bytes()).await;
        told.map_err(Error::io("cannot talk to the server"))
    }

    /// Kills it, and waits until it is dead.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn kill(mut self) -> Result<(), Error> {
        self.child.kill().await.map_err(Error::io("cannot kill a server"))
    }

    /// Lets it end by itself, and waits until it has.
    ///
    /// # Errors
    /// When it does not end in time (it is killed then), or ends badly.
    pub async fn stop(mut self) -> Result<(), Error> {
        drop(self.stdin.take());
        let ended = timeout(SERVER_GRACE, self.child.wait()).await;
        let status = ended.map_err(|_| Error::Child("the server did not end by itself".to_owned()))?;
        let status = status.map_err(Error::io("cannot wait for the server"))?;
        if status.success() {
            Ok(())
        } else {
            Err(Error::Child(format!("the server ended with {status}")))
        }
    }
}

impl Children {
    /// Children of the given program, which is this one or, in tests, one in its place.
    pub fn of(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            first_args: Vec::new(),
            evenkeel: None,
        }
    }

    /// Contenders are told that the binary `evenkeel` is there.
    #[must_use]
    pub fn with_evenkeel(mut self, path: Option<PathBuf>) -> Self {
        self.evenkeel = path;
        self
    }

    /// With an argument that comes before all others.
    #[must_use]
    pub fn with_first_arg(mut self, arg: impl Into<OsString>) -> Self {
        self.first_args.push(arg.into());
        self
    }

    /// Children of the program that is running.
    ///
    /// # Errors
    /// When the system does not say where it is.
    pub fn of_this_program() -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(Error::io("cannot find this program's own file"))?;
        Ok(Self::of(program))
    }

    fn start(&self, args: &[&str]) -> Result<(Child, Option<ChildStdin>), Error> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.first_args)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::io("cannot start a child process"))?;
        let stdin = child.stdin.take();
        Ok((child, stdin))
    }

    /// Starts a server and waits until it listens.
    ///
    /// # Errors
    /// When it does not start, or does not say where it listens.
    pub async fn serve(&self, kind: ServerKind) -> Result<Server, Error> {
        self.serve_at(kind, LOOPBACK).await
    }

    /// Starts a server at this address and waits until it listens.
    ///
    /// # Errors
    /// When it does not start, or does not say where it listens.
    pub async fn serve_at(&self, kind: ServerKind, at: SocketAddr) -> Result<Server, Error> {
        let (mut child, stdin) = self.start(&["serve", kind.name(), "--listen", &at.to_string()])?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            let mut stdout = BufReader::new(stdout.take(MOST_OUTPUT));
            let read = timeout(SERVER_GRACE, stdout.read_line(&mut line)).await;
            let read =
                read.map_err(|_| Error::Child("the server does not say where it listens".to_owned()))?;
            read.map_err(Error::io("cannot read what the server says"))?;
        }
        let addr = line.trim().parse();
        let addr =
            addr.map_err(|_| Error::Child(format!("the server said '{}', no address", line.trim())))?;
        Ok(Server { child, stdin, addr })
    }

    /// Runs one contender in its own process and returns what it measured.
    ///
    /// # Errors
    /// When the child fails, runs longer than `limit` (it is killed then), or says something else than a report.
    pub async fn contender(
        &self,
        scenario: &str,
        contender: &str,
        params: &Params,
        server: Option<SocketAddr>,
        limit: Duration,
    ) -> Result<Report, Error> {
        let size = params.to_string();
        let server = server.map(|addr| addr.to_string());
        let mut args = vec!["contender", scenario, contender, "--size", &size];
        if let Some(addr) = &server {
            args.extend(["--server", addr]);
        }
        let evenkeel = self.evenkeel.as_ref().map(|path| path.display().to_string());
        if let Some(path) = &evenkeel {
            args.extend(["--evenkeel", path]);
        }
        // Held until the child has ended: it takes the end of its standard input as the end of its parent.
        let (mut child, _stdin) = self.start(&args)?;
        let heard = timeout(limit, hear(&mut child)).await;
        let Ok(heard) = heard else {
            child
                .kill()
                .await
                .map_err(Error::io("cannot end a child whose time is up"))?;
            return Err(Error::Child(format!("ran longer than {limit:?} and was ended")));
        };
        let (status, out, err) = heard.map_err(Error::io("cannot listen to a child"))?;
        if !status.success() {
            let why = err
                .lines()
                .rev()
                .find(|line| !line.trim().is_empty())
                .unwrap_or("without a word");
            let why = why.trim_start_matches("error: ");
            return Err(Error::Child(format!("{why} ({status})")));
        }
        serde_json::from_str(&out).map_err(|e| {
            Error::Child(format!(
                "said something that is not a report ({e}): {}",
                out.trim()
            ))
        })
    }
}

/// Everything a child says, until it has ended.
async fn hear(child: &mut Child) -> io::Result<(ExitStatus, String, String)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let out = async {
        let mut text = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(MOST_OUTPUT).read_to_end(&mut text).await?;
        }
        io::Result::Ok(text)
    };
    let err = async {
        let mut text = Vec::new();
        if let Some(stderr) = stderr {
            stderr.take(MOST_OUTPUT).read_to_end(&mut text).await?;
        }
        io::Result::Ok(text)
    };
    let (out, err) = tokio::try_join!(out, err)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((child.wait().await?, text(out), text(err)))
}

/// Prints a line for the parent process at once.
///
/// # Errors
/// When nobody reads it any more.
pub fn print_line(line: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(Error::io("cannot write to standard output"))
}

/// Ends this process as soon as its standard input does: its parent is gone then.
///
/// # Errors
/// When the thread that waits for it cannot be started.
#[allow(
    clippy::exit,
    reason = "the work to be ended runs on threads that cannot be asked to"
)]
pub fn end_with_parent() -> Result<(), Error> {
    let wait = || {
        let mut byte = [0];
        while io::stdin().read(&mut byte).is_ok_and(|n| n > 0) {}
        std::process::exit(1);
    };
    let thread = std::thread::Builder::new()
        .name("end-with-parent".to_owned())
        .spawn(wait);
    thread.map(drop).map_err(Error::io("cannot start a thread"))
}
