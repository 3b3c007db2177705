//! Whoever stands between the sender and the collectors.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use super::process::{Process, free_address};
use super::sinks::SINKS;
use crate::{Error, process};

/// The peers' configs, with `@name@` where the addresses go.
const HAPROXY: &str = include_str!("../../../peers/haproxy.cfg");
const NGINX: &str = include_str!("../../../peers/nginx.conf");
const ENVOY: &str = include_str!("../../../peers/envoy.yaml");

/// A gateway or proxy that runs, or none at all.
#[derive(Debug)]
pub(super) struct Proxy {
    /// `None` if the sender talks to the collectors itself.
    process: Option<Process>,
    /// Where gRPC goes; more than one only without a process.
    pub(super) grpc: Vec<SocketAddr>,
    /// Where HTTP goes.
    pub(super) http: Vec<SocketAddr>,
}

impl Proxy {
    /// Starts the contender of this name in front of these collectors; `folder` is for its files.
    pub(super) async fn start(
        contender: &str,
        evenkeel: &Path,
        collectors: [SocketAddr; SINKS],
        folder: &Path,
    ) -> Result<Self, Error> {
        if contender == "direct" {
            return Ok(Self {
                process: None,
                grpc: collectors.to_vec(),
                http: collectors.to_vec(),
            });
        }
        let (grpc, http) = (free_address()?, free_address()?);
        let mut command = match contender {
            "evenkeel" => evenkeel_command(evenkeel, grpc, http, collectors),
            "haproxy" => {
                let config = write(
                    folder,
                    "haproxy.cfg",
                    &fill(HAPROXY, grpc, http, collectors, folder),
                )?;
                let mut command = program("haproxy")?;
                command.args(["-q", "-f"]).arg(config);
                command
            }
            "nginx" => {
                let config = write(folder, "nginx.conf", &fill(NGINX, grpc, http, collectors, folder))?;
                let mut command = program("nginx")?;
                command
                    .arg("-p")
                    .arg(folder)
                    .args(["-e", "stderr", "-c"])
                    .arg(config);
                command
            }
            "envoy" => {
                let config = write(folder, "envoy.yaml", &fill(ENVOY, grpc, http, collectors, folder))?;
                let mut command = program("envoy")?;
                command
                    .args(["--concurrency", "2", "--disable-hot-restart", "-l", "error", "-c"])
                    .arg(config);
                command
            }
            other => {
                let known = super::CONTENDERS.iter().copied();
                return Err(Error::unknown("contender", other, known));
            }
        };
        let mut process = Process::start(contender, &mut command)?;
        for address in [grpc, http] {
            process.listens(address).await?;
        }
        Ok(Self {
            process: Some(process),
            grpc: vec![grpc],
            http: vec![http],
        })
    }

    /// CPU time so far; none if there is nobody between.
    pub(super) fn cpu(&self) -> Result<Option<Duration>, Error> {
        self.process.as_ref().map(Process::cpu).transpose()
    }

    /// Memory in RAM, in bytes.
    pub(super) fn memory(&self) -> Result<Option<u64>, Error> {
        self.process.as_ref().map(Process::memory).transpose()
    }

    pub(super) async fn stop(self) -> Result<(), Error> {
        match self.process {
            Some(process) => process.stop().await,
            None => Ok(()),
        }
    }
}

/// All by default, and as many threads as the others have.
fn evenkeel_command(
    evenkeel: &Path,
    grpc: SocketAddr,
    http: SocketAddr,
    collectors: [SocketAddr; SINKS],
) -> Command {
    let mut command = Command::new(evenkeel);
    command.args(["run", "--log", "error", "--admin", "off", "--threads", "2"]);
    command.args(["--grpc", &grpc.to_string(), "--http", &http.to_string()]);
    for collector in collectors {
        command.args(["--backend", &format!("http://{collector}")]);
    }
    command
}

fn program(name: &'static str) -> Result<Command, Error> {
    let path =
        process::installed(name).ok_or_else(|| Error::Contender(format!("{name} is not installed")))?;
    Ok(Command::new(path))
}

/// The config with its addresses.
fn fill(
    config: &str,
    grpc: SocketAddr,
    http: SocketAddr,
    collectors: [SocketAddr; SINKS],
    folder: &Path,
) -> String {
    let mut text = config.replace("@dir@", &folder.display().to_string());
    let [a, b, c] = collectors;
    for (name, address) in [("grpc", grpc), ("http", http), ("a", a), ("b", b), ("c", c)] {
        text = text
            .replace(&format!("@{name}@"), &address.to_string())
            .replace(&format!("@{name}_port@"), &address.port().to_string());
    }
    text
}

fn write(folder: &Path, name: &str, text: &str) -> Result<std::path::PathBuf, Error> {
    let path = folder.join(name);
    std::fs::write(&path, text).map_err(Error::io("cannot write a config"))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_place_of_a_config_stays_empty() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        for config in [HAPROXY, NGINX, ENVOY] {
            let text = fill(config, at(1), at(2), [at(3), at(4), at(5)], Path::new("/x"));
            let empty = text.lines().find(|line| {
                line.contains('@') && !line.contains("@type") && !line.trim_start().starts_with('#')
            });
            assert_eq!(empty, None);
            for port in 1..=5 {
                let told = text.contains(&format!("127.0.0.1:{port}"))
                    || text.contains(&format!("port_value: {port} "));
                assert!(told, "{port} is not in {text}");
            }
        }
    }
}
