//! `evenkeel run`.

mod reload;

use std::fmt::Display;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgGroup, Args as ClapArgs};
use evenkeel::ConfigError;
use evenkeel::balancer::LoadBalancingStrategy;
use evenkeel_otlp::Endpoint;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;
use tracing::{error, info, warn};

use crate::config::{GatewayConfig, Listen, RouteConfig};
use crate::gateway::{Drained, Gateway};
use crate::runtime;
use crate::say::failure;

/// Receives OTLP and delivers it to collectors.
#[derive(Debug, ClapArgs)]
#[expect(clippy::doc_markdown, reason = "shown as plain text by --help")]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["config", "backend"]))]
pub(crate) struct Args {
    /// The config file; it is read again when it changes and on SIGHUP.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A collector, such as http://host:4317; once for each. In place of a config file.
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    backend: Vec<Endpoint>,
    /// With --backend: how a collector is chosen, such as peak_ewma or round_robin.
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    strategy: Option<LoadBalancingStrategy>,
    /// With --backend: none, trace_id, service or attribute=NAME.
    #[arg(long, value_name = "BY", conflicts_with = "config")]
    route: Option<RouteConfig>,
    /// With --backend: where gRPC is received, or off.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "config")]
    grpc: Option<Listen>,
    /// With --backend: where HTTP is received, or off.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "config")]
    http: Option<Listen>,
    /// With --backend: where /healthz, /readyz, /metrics and /status are, or off.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "config")]
    admin: Option<Listen>,
    /// With --backend: how many threads serve; 0 for one for every two processors.
    #[arg(long, value_name = "N", conflicts_with = "config")]
    threads: Option<usize>,
    /// What is logged to stderr: off, error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: LevelFilter,
}

impl Args {
    /// The config of the file, or of the flags.
    fn config(&self) -> Result<GatewayConfig, ConfigError> {
        let Some(path) = &self.config else {
            let variables = std::env::vars_os();
            let variables = variables
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
            return GatewayConfig::parse(&self.as_file(), variables, |_| {});
        };
        GatewayConfig::load(path)
    }

    /// What the flags say, as it would be written in a file: so that what is given counts as given.
    fn as_file(&self) -> String {
        let mut file = String::new();
        let mut line = |text: String| {
            file.push_str(&text);
            file.push('\n');
        };
        if let Some(threads) = self.threads {
            line(format!("threads = {threads}"));
        }
        match &self.route {
            None => {}
            Some(RouteConfig::Attribute(name)) => line(format!("route = {{ attribute = {name:?} }}")),
            Some(route) => line(format!("route = \"{route}\"")),
        }
        let listens = [
            ("receiver", "grpc", self.grpc),
            ("receiver", "http", self.http),
            ("admin", "listen", self.admin),
        ];
        for (table, field, listen) in listens {
            if let Some(listen) = listen {
                line(format!("{table}.{field} = \"{listen}\""));
            }
        }
        if let Some(strategy) = &self.strategy {
            line(format!("client.balancer.strategy = \"{}\"", strategy.name()));
        }
        for backend in &self.backend {
            line(format!("[[collectors]]\nendpoint = \"{backend}\""));
        }
        file
    }
}

/// Runs until it is told to end. The exit code is 0 if everything under way was answered, 1 if not, 2 if it did
/// not start.
pub(crate) fn run(args: &Args) -> ExitCode {
    tracing_subscriber::fmt()
        .with_max_level(args.log)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    raise_descriptors();
    let seen = args.config.as_ref().and_then(|path| std::fs::read(path).ok());
    let config = match args.config() {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    match runtime::with_threads(Some(threads(config.threads))) {
        Ok(runtime) => {
            let code = runtime.block_on(serve(args, config, seen));
            // Dropped, it would wait for what runs on threads, such as the look-up of a name that nobody answers.
            runtime.shutdown_background();
            code
        }
        Err(error) => fail(&error),
    }
}

/// How many threads serve: as many as the config says, or one for every two processors. The network's own work in the
/// kernel takes as much as ours, and threads that sleep and are woken for every packet cost more than they give.
fn threads(configured: usize) -> NonZeroUsize {
    NonZeroUsize::new(configured).unwrap_or_else(|| {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        NonZeroUsize::new(processors / 2).unwrap_or(NonZeroUsize::MIN)
    })
}

/// As many descriptors as the system allows: what is allowed at first is mostly 1024, for programs that use `select`.
fn raise_descriptors() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        warn!(%error, "the limit of open files stays as it is");
    }
}

/// Says why it did not start.
fn fail(error: &dyn Display) -> ExitCode {
    let _ = failure("run", error);
    ExitCode::from(2)
}

async fn serve(args: &Args, config: GatewayConfig, seen: Option<Vec<u8>>) -> ExitCode {
    // Signals first: one that comes while it starts is not lost.
    let signals = [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ]
    .map(signal);
    let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)] = signals else {
        error!("signals can not be received");
        return ExitCode::from(2);
    };
    let gateway = match Gateway::start(config) {
        Ok(gateway) => gateway,
        Err(error) => return fail(&error),
    };
    announce(&gateway);
    let mut reloads = reload::Reloads::new(args.config.as_deref(), seen, &gateway);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => reloads.now().await,
            () = reloads.changed() => reloads.now().await,
        }
    }
    // A second signal means at once.
    let drained = tokio::select! {
        drained = gateway.shutdown() => drained,
        _ = terminate.recv() => return ExitCode::from(1),
        _ = interrupt.recv() => return ExitCode::from(1),
    };
    match drained {
        Drained::Whole => {
            info!("ended; everything under way was answered");
            ExitCode::SUCCESS
        }
        Drained::TimedOut { cut } => {
            warn!(cut, "ended; time was over before these requests were answered");
            ExitCode::from(1)
        }
    }
}

fn announce(gateway: &Gateway) {
    let shown = |address: Option<std::net::SocketAddr>| Listen(address).to_string();
    let config = gateway.config();
    info!(
        grpc = shown(gateway.grpc_address()),
        http = shown(gateway.http_address()),
        admin = shown(gateway.admin_address()),
        collectors = config.collectors.len(),
        strategy = config.client.balancer.strategy.name(),
        route = %config.route,
        "ready to receive"
    );
}
