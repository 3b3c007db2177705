//! [`Heads`]: the heads of requests, made once.

use evenkeel_otlp_wire::Signal;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, TE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

use crate::{BuildError, Collector, Compression, Encoding, OtlpClientConfig, Protocol};

pub(super) const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
pub(super) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// What is ours to set.
const RESERVED: [&str; 13] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The heads of all requests to one collector.
#[derive(Debug)]
pub(super) struct Heads {
    protocol: Protocol,
    /// By signal.
    uris: [Uri; SIGNALS],
    /// By compression. Of one encoding: protobuf.
    headers: [HeaderMap; 3],
}

const SIGNALS: usize = Signal::ALL.len();

fn index(signal: Signal) -> usize {
    Signal::ALL.iter().position(|&known| known == signal).unwrap_or(0)
}

impl Heads {
    pub(super) fn new(
        collector: &Collector,
        protocol: Protocol,
        config: &OtlpClientConfig,
    ) -> Result<Self, BuildError> {
        let malformed = |_: http::Error| BuildError::Endpoint {
            id: collector.id(),
            source: crate::EndpointError::Malformed {
                endpoint: collector.endpoint.to_string(),
                reason: "it makes no URI",
            },
        };
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        insert_all(&mut headers, "headers", &config.headers)?;
        let place = || format!("collector {}", collector.id());
        if !collector.headers.is_empty() {
            insert_all(&mut headers, &place(), &collector.headers)?;
        }
        let encoding_name = match protocol {
            Protocol::Grpc => {
                headers.insert(TE, HeaderValue::from_static("trailers"));
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(GRPC_TIMEOUT, grpc_timeout(config.timeout));
                GRPC_ENCODING
            }
            Protocol::HttpProtobuf => {
                let authority = collector.endpoint.authority(protocol).map_err(malformed)?;
                let host = HeaderValue::try_from(authority.as_str());
                headers.insert(HOST, host.map_err(|error| malformed(error.into()))?);
                let media = HeaderValue::from_static(Encoding::Protobuf.media_type());
                headers.insert(CONTENT_TYPE, media);
                CONTENT_ENCODING
            }
        };
        let compressed = [Compression::None, Compression::Gzip, Compression::Zstd].map(|compression| {
            let mut headers = headers.clone();
            if let Some(value) = compression.header() {
                headers.insert(encoding_name.clone(), value);
            }
            headers
        });
        let mut uris: [Uri; SIGNALS] = Default::default();
        for (uri, signal) in uris.iter_mut().zip(Signal::ALL) {
            *uri = collector.endpoint.uri(protocol, signal).map_err(malformed)?;
        }
        Ok(Self {
            protocol,
            uris,
            headers: compressed,
        })
    }

    /// The head of one request.
    pub(super) fn request<B>(&self, signal: Signal, compression: Compression, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        if let Some(uri) = self.uris.get(index(signal)) {
            *request.uri_mut() = uri.clone();
        }
        let headers = match compression {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Zstd => 2,
        };
        if let Some(headers) = self.headers.get(headers) {
            *request.headers_mut() = headers.clone();
        }
        if self.protocol == Protocol::Grpc {
            *request.version_mut() = Version::HTTP_2;
        }
        request
    }
}

const AGENT: &str = concat!("evenkeel-otlp/", env!("CARGO_PKG_VERSION"));

fn insert_all(
    into: &mut HeaderMap,
    place: &str,
    headers: &std::collections::BTreeMap<String, String>,
) -> Result<(), BuildError> {
    for (name, value) in headers {
        let refuse = |reason| BuildError::Header {
            place: place.to_owned(),
            name: name.clone(),
            reason,
        };
        let parsed = HeaderName::try_from(name.as_str()).map_err(|_| refuse("it is not a header's name"))?;
        if RESERVED.contains(&parsed.as_str()) || parsed.as_str().starts_with("grpc-") {
            return Err(refuse("it is set by the protocol"));
        }
        let mut value =
            HeaderValue::try_from(value.as_str()).map_err(|_| refuse("its value is not a header's"))?;
        // Keys have many names. Keeps it out of HPACK's tables and of debug output.
        value.set_sensitive(true);
        into.insert(parsed, value);
    }
    Ok(())
}

/// A time-out as gRPC writes it: at most eight digits and a unit.
pub(super) fn grpc_timeout(timeout: std::time::Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    let micros = timeout.as_micros();
    let (number, unit) = if micros <= MOST {
        (micros, 'u')
    } else if timeout.as_millis() <= MOST {
        (timeout.as_millis(), 'm')
    } else {
        (u128::from(timeout.as_secs()).min(MOST), 'S')
    };
    // Digits and a letter are always a header's value.
    HeaderValue::try_from(format!("{number}{unit}")).unwrap_or(HeaderValue::from_static("10S"))
}
