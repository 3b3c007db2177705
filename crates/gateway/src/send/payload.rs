//! Requests as an SDK makes them: encoded once, then only marked anew.

use bytes::{Bytes, BytesMut};

use crate::ledger::{SenderId, SpanMark};

/// The most spans in a request: beyond it, it would be larger than what collectors take.
pub(crate) const MAX_SPANS: u32 = 100_000;

/// The prefix of gRPC.
const PREFIX: usize = 5;

/// An `ExportTraceServiceRequest` of spans as a web shop's server makes them, of about 266 bytes each.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// With the prefix of gRPC before it.
    framed: Bytes,
    /// Where in it each span's ids are.
    places: Vec<Places>,
}

#[derive(Clone, Copy, Debug)]
struct Places {
    trace_id: usize,
    span_id: usize,
}

impl Template {
    /// For requests of so many spans, at most [`MAX_SPANS`].
    pub(crate) fn new(spans: u32) -> Self {
        // From the inside out: the scope's spans, the scope, the resource.
        let mut scope = Vec::new();
        field(&mut scope, 1, &message(&[(1, b"shop.checkout"), (2, b"1.4.2")]));
        let mut places = Vec::new();
        for index in 0..spans {
            let span = span(index);
            let before = scope.len();
            field(&mut scope, 2, &span);
            let start = scope.len() - span.len();
            debug_assert!(start > before, "a field has a tag");
            // The ids come first, each after a tag and a length.
            places.push(Places {
                trace_id: start + 2,
                span_id: start + 2 + 16 + 2,
            });
        }
        let resource = resource();
        let mut inner = Vec::new();
        field(&mut inner, 1, &resource);
        field(&mut inner, 2, &scope);
        let scope_at = inner.len() - scope.len();
        let mut request = vec![0; PREFIX];
        field(&mut request, 1, &inner);
        let inner_at = request.len() - inner.len();
        for places in &mut places {
            places.trace_id += scope_at + inner_at;
            places.span_id += scope_at + inner_at;
        }
        let len = (request.len() - PREFIX) as u32;
        request[1..PREFIX].copy_from_slice(&len.to_be_bytes());
        Self {
            framed: request.into(),
            places,
        }
    }

    /// How many spans a request has.
    pub(crate) fn spans(&self) -> u64 {
        self.places.len() as u64
    }

    /// The request whose spans have the numbers from `first` on, as one message of gRPC.
    pub(crate) fn framed(&self, sender: SenderId, first: u64) -> Bytes {
        let mut framed = BytesMut::from(&self.framed[..]);
        for (number, places) in (first..).zip(&self.places) {
            let mark = SpanMark { sender, number };
            framed[places.trace_id..][..16].copy_from_slice(&mark.trace_id());
            framed[places.span_id..][..8].copy_from_slice(&mark.span_id());
        }
        framed.freeze()
    }

    /// The same as plain protobuf.
    pub(crate) fn body(&self, sender: SenderId, first: u64) -> Bytes {
        self.framed(sender, first).slice(PREFIX..)
    }
}

fn resource() -> Vec<u8> {
    let attributes = [
        ("service.name", "checkout"),
        ("service.version", "2026.11.3"),
        ("service.instance.id", "checkout-7d9c5b8f4-x2x7q"),
        ("deployment.environment.name", "production"),
        ("host.name", "node-17.shop.example"),
        ("telemetry.sdk.language", "rust"),
    ];
    let mut out = Vec::new();
    for (key, value) in attributes {
        field(&mut out, 1, &text_attribute(key, value));
    }
    out
}

/// One span; the ids are filled in later.
fn span(index: u32) -> Vec<u8> {
    const ROUTES: [(&[u8], &str); 4] = [
        (b"POST /cart/{user}/items", "/cart/{user}/items"),
        (b"GET /products/{product}", "/products/{product}"),
        (b"POST /orders/{order}/pay", "/orders/{order}/pay"),
        (b"GET /users/{user}/orders", "/users/{user}/orders"),
    ];
    const STARTED: u64 = 1_763_900_000_000_000_000;
    let (name, route) = ROUTES[index as usize % ROUTES.len()];
    let start = STARTED + u64::from(index) * 1_300_000;
    let mut out = Vec::new();
    field(&mut out, 1, &[0; 16]);
    field(&mut out, 2, &[0; 8]);
    field(&mut out, 4, &(u64::from(index) + 1).to_be_bytes());
    field(&mut out, 5, name);
    // The kind: a server's.
    out.extend([6 << 3, 2]);
    for (number, time) in [(7, start), (8, start + 740_000)] {
        out.push(number << 3 | 1);
        out.extend(time.to_le_bytes());
    }
    for (key, value) in [
        ("http.request.method", "POST"),
        ("http.route", route),
        ("server.address", "checkout.internal.shop.example"),
        ("url.scheme", "https"),
        ("network.protocol.version", "2"),
    ] {
        field(&mut out, 9, &text_attribute(key, value));
    }
    out
}

fn text_attribute(key: &str, value: &str) -> Vec<u8> {
    message(&[(1, key.as_bytes()), (2, &message(&[(1, value.as_bytes())]))])
}

fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for &(number, value) in fields {
        field(&mut out, number, value);
    }
    out
}

/// A field that has a length.
fn field(out: &mut Vec<u8>, number: u8, value: &[u8]) {
    out.push(number << 3 | 2);
    let mut len = value.len();
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message;

    use super::*;

    #[test]
    fn a_collector_reads_the_spans_that_were_marked() {
        let template = Template::new(100);
        let sender = SenderId(0xabcd);
        let body = template.body(sender, 901);
        let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
        assert_eq!(
            request.encode_to_vec(),
            body,
            "nothing is there that a collector does not know"
        );
        let spans = &request.resource_spans[0].scope_spans[0].spans;
        let marks: Vec<SpanMark> = spans
            .iter()
            .map(|span| SpanMark::of(&span.trace_id, &span.span_id).unwrap())
            .collect();
        let expected = (901..1001).map(|number| SpanMark { sender, number });
        assert!(marks.iter().copied().eq(expected));
        assert!(
            spans
                .iter()
                .all(|span| span.end_time_unix_nano > span.start_time_unix_nano)
        );
    }

    #[test]
    fn a_batch_has_the_size_of_real_ones() {
        let template = Template::new(100);
        let body = template.body(SenderId(1), 1);
        assert!((26_000..27_500).contains(&body.len()), "{} bytes", body.len());
        let framed = template.framed(SenderId(1), 1);
        assert_eq!(framed[0], 0);
        assert_eq!(framed[1..5], (body.len() as u32).to_be_bytes());
    }
}
