//! An application with the stock OpenTelemetry SDK and `opentelemetry-otlp`, whose spans go to three collectors.
//! One of them is killed and comes back; nothing is lost.
//!
//! The application has no runtime and knows nothing of collectors: it hands our client to the stock exporter.
//!
//! `cargo run -p evenkeel-otlp --features opentelemetry-http --example stock_sdk`

#![allow(clippy::print_stdout, reason = "it is a program")]

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use evenkeel_otlp::sdk::Exporters;
use evenkeel_otlp::{Collector, OtlpClientConfig, Protocol};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_sdk::trace::SdkTracerProvider;
use parking_lot::Mutex;
use prost::Message;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, JoinSet};

/// How many times each span arrived, by its name.
type Arrived = Arc<Mutex<BTreeMap<String, usize>>>;

/// A collector over HTTP/1.1 that notes what arrives.
struct InProcess {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl InProcess {
    async fn start(address: SocketAddr, arrived: Arrived) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(async move {
            // They end with this task: whoever aborts it cuts them off.
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let arrived = Arc::clone(&arrived);
                let service = hyper::service::service_fn(move |request| take(request, Arc::clone(&arrived)));
                let http = hyper::server::conn::http1::Builder::new();
                connections.spawn(http.serve_connection(TokioIo::new(socket), service));
            }
        });
        Ok(Self { address, serving })
    }

    /// As by SIGKILL: its connections go without a word, also those with a request under way.
    async fn kill(&mut self) {
        self.serving.abort();
        // Aborted: that is what it says.
        let _ = (&mut self.serving).await;
    }
}

async fn take(
    request: Request<Incoming>,
    arrived: Arrived,
) -> Result<Response<Full<Bytes>>, Box<dyn Error + Send + Sync>> {
    let body = request.into_body().collect().await?.to_bytes();
    let request = ExportTraceServiceRequest::decode(body)?;
    let resources = request.resource_spans.into_iter();
    let scopes = resources.flat_map(|resource| resource.scope_spans);
    for span in scopes.flat_map(|scope| scope.spans) {
        *arrived.lock().entry(span.name).or_default() += 1;
    }
    let response = Response::builder().header("content-type", "application/x-protobuf");
    Ok(response.body(Full::default())?)
}

/// What became of the spans.
#[derive(Debug)]
pub(crate) struct Report {
    /// Spans that the application ended.
    pub(crate) ended: usize,
    /// Spans that arrived, each counted once.
    pub(crate) arrived: usize,
    /// Spans that arrived more than once: who took them first did not live to say so.
    pub(crate) twice: usize,
    /// How many requests each collector was sent.
    pub(crate) shares: Vec<u64>,
}

/// Ends `batches` times 50 spans; in the middle third one collector is gone.
pub(crate) fn run(batches: usize) -> Result<Report, Box<dyn Error>> {
    // The collectors' runtime, not the application's.
    let runtime = Runtime::new()?;
    let arrived = Arrived::default();
    let start = |address| runtime.block_on(InProcess::start(address, Arc::clone(&arrived)));
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut collectors = [start(any)?, start(any)?, start(any)?];

    // What an application does in place of naming one endpoint.
    let mut config = OtlpClientConfig {
        protocol: Protocol::HttpProtobuf,
        ..OtlpClientConfig::default()
    };
    for collector in &collectors {
        let endpoint = format!("http://{}", collector.address);
        config.collectors.push(Collector::new(&endpoint)?);
    }
    let exporters = Exporters::start(config)?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(exporters.http_client())
        .build()?;
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();

    let tracer = provider.tracer("shop");
    for batch in 0..batches {
        if batch == batches / 3 {
            runtime.block_on(collectors[0].kill());
        }
        if batch == 2 * batches / 3 {
            collectors[0] = start(collectors[0].address)?;
        }
        for span in 0..50 {
            tracer.in_span(format!("order {batch}/{span}"), |_| {});
        }
        // So that each batch is a request; left to itself, the SDK makes one every five seconds.
        provider.force_flush()?;
    }
    provider.shutdown()?;

    let arrived = arrived.lock();
    let stats = exporters.client().balancer().stats();
    Ok(Report {
        ended: batches * 50,
        arrived: arrived.len(),
        twice: arrived.values().filter(|times| **times > 1).count(),
        shares: stats
            .backends
            .iter()
            .map(|backend| backend.requests.requests)
            .collect(),
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let report = run(300)?;
    println!(
        "{} spans ended, {} arrived, {} of them twice; requests by collector: {:?}",
        report.ended, report.arrived, report.twice, report.shares
    );
    Ok(())
}
