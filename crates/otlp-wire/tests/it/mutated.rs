//! The specification's own examples, changed at random: what comes of them is like a request, and mostly not one.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use prost::Message;

use crate::requests::{backwards, field, fields, logs, metrics, traces};
use crate::walk;

/// The examples of opentelemetry-proto, as its own Python package encodes them.
const SEEDS: [(&str, &[u8]); 4] = [
    ("trace", include_bytes!("../../fuzz/seeds/trace.binpb")),
    ("metrics", include_bytes!("../../fuzz/seeds/metrics.binpb")),
    ("logs", include_bytes!("../../fuzz/seeds/logs.binpb")),
    ("events", include_bytes!("../../fuzz/seeds/events.binpb")),
];

/// A change of one message, after which it is a message still, and so are those around it.
#[derive(Clone, Debug)]
enum Reshape {
    /// A field is there once more, at the end.
    Repeat,
    /// It is there once more, with what is in another field of its message.
    Exchange(Index),
    /// It comes first.
    First,
    Drop,
    /// It is another field.
    Renumber(u32),
    /// Something unknown stands before it.
    Before(Vec<u8>),
}

fn reshape() -> impl Strategy<Value = (Vec<Index>, Reshape)> {
    let unknown = vec![vec![0x9b, 6, 0x08, 1, 0x9c, 6], vec![0x9a, 6, 3, 1, 2, 3]];
    let kind = prop_oneof![
        4 => Just(Reshape::Repeat),
        2 => any::<Index>().prop_map(Reshape::Exchange),
        1 => Just(Reshape::First),
        1 => Just(Reshape::Drop),
        2 => (1_u32..12).prop_map(Reshape::Renumber),
        1 => select(unknown).prop_map(Reshape::Before),
    ];
    (vec(any::<Index>(), 1..7), kind)
}

/// Changes the field that the path leads to, as deep as there are messages.
fn reshaped(message: &[u8], path: &[Index], change: &Reshape) -> Option<Vec<u8>> {
    let fields = fields(message).filter(|fields| !fields.is_empty())?;
    let (at, deeper) = path.split_first()?;
    let at = at.index(fields.len());
    let (number, whole, inner) = fields[at];
    let mut out: Vec<Vec<u8>> = fields.iter().map(|(_, whole, _)| whole.to_vec()).collect();
    if let Some(changed) = inner.and_then(|inner| reshaped(inner, deeper, change)) {
        out[at] = Vec::new();
        field(&mut out[at], number, &changed);
        return Some(out.concat());
    }
    match change {
        Reshape::Repeat => out.push(whole.to_vec()),
        Reshape::Exchange(other) => {
            let (_, _, other) = fields[other.index(fields.len())];
            let mut again = Vec::new();
            field(&mut again, number, other.unwrap_or_default());
            out.push(again);
        }
        Reshape::First => out[..=at].rotate_right(1),
        Reshape::Drop => drop(out.remove(at)),
        Reshape::Renumber(number) => {
            out[at] = Vec::new();
            field(&mut out[at], *number, inner.unwrap_or_default());
        }
        Reshape::Before(unknown) => out.insert(at, unknown.clone()),
    }
    Some(out.concat())
}

/// A change. What does not fit the length of the bytes is made to.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    /// So many bytes of one place once more at another.
    Copy(Index, usize, Index),
    CutOff(Index),
}

/// Bytes that mean something to protobuf: tags of the frame, groups, lengths, the longest numbers.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 1..12),
        select(vec![0x0a, 0x12, 0x1a, 0x1b, 0x1c, 0x4a, 0x52, 0x7f, 0x80, 0xff]).prop_map(|byte| vec![byte]),
        // An empty message, group or id, an unknown field, and what is in one.
        select(vec![
            vec![0x12, 0],
            vec![0x0a, 0],
            vec![0x9b, 6, 0x9c, 6],
            vec![0x9a, 6, 3, 1, 2, 3],
            vec![0x0a, 16, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7],
            vec![0x10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
        ]),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        3 => (any::<Index>(), bytes()).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        2 => (any::<Index>(), 1_usize..40).prop_map(|(at, length)| Change::Remove(at, length)),
        2 => (any::<Index>(), 1_usize..200, any::<Index>())
            .prop_map(|(from, length, to)| Change::Copy(from, length, to)),
        1 => any::<Index>().prop_map(Change::CutOff),
    ]
}

impl Change {
    fn apply(self, body: &mut Vec<u8>) {
        let all = body.len();
        let to_end = |from: usize, length: usize| from..all.min(from + length);
        match self {
            Self::Set(at, byte) if all > 0 => body[at.index(all)] = byte,
            Self::Set(..) => {}
            Self::Insert(at, bytes) => {
                let at = at.index(all + 1);
                body.splice(at..at, bytes);
            }
            Self::Remove(at, length) => {
                body.drain(to_end(at.index(all + 1), length));
            }
            Self::Copy(from, length, to) => {
                let copied = body[to_end(from.index(all + 1), length)].to_vec();
                let to = to.index(all + 1);
                body.splice(to..to, copied);
            }
            Self::CutOff(at) => body.truncate(at.index(all + 1)),
        }
    }
}

/// A request: an example, or one that is made up, with its fields in this order or the other.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let seed = select(&SEEDS[..]).prop_map(|(_, seed)| seed.to_vec());
    let made_up = prop_oneof![
        traces().prop_map(|request| request.encode_to_vec()),
        logs().prop_map(|request| request.encode_to_vec()),
        metrics().prop_map(|request| request.encode_to_vec()),
    ];
    (prop_oneof![2 => seed, 1 => made_up], any::<bool>()).prop_map(|(body, reverse)| match reverse {
        true => backwards(&body, 3),
        false => body,
    })
}

#[test]
fn the_examples_are_what_they_are_said_to_be() {
    use evenkeel_otlp_wire::{Signal, count_items};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    for (name, seed) in SEEDS {
        walk::check(seed);
        walk::check(&backwards(seed, 3));
        let (signal, items) = match name {
            "trace" => (Signal::Traces, 1),
            "metrics" => (Signal::Metrics, 4),
            _ => (Signal::Logs, 1),
        };
        assert_eq!(count_items(seed, signal), Ok(items), "{name}");
    }
    let trace = ExportTraceServiceRequest::decode(SEEDS[0].1).unwrap();
    let span = &trace.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.name, "I'm a server span");
    assert_eq!(span.trace_id[..4], [0x5b, 0x8e, 0xff, 0xf7]);
}

proptest! {
    // PROPTEST_CASES sets another number.
    #![proptest_config(match ProptestConfig::default() {
        config if config.cases > 256 => config,
        config => ProptestConfig { cases: 1024, ..config },
    })]

    /// Requests one behind the other are one request.
    #[test]
    fn changed_examples_are_refused_or_read_as_a_collector_reads_them(
        requests in vec(request(), 1..4),
        reshapes in vec(reshape(), 0..8),
        changes in prop_oneof![2 => Just(Vec::new()), 1 => vec(change(), 1..6)],
    ) {
        let mut body = requests.concat();
        for (path, change) in reshapes {
            body = reshaped(&body, &path, &change).unwrap_or(body);
        }
        for change in changes {
            change.apply(&mut body);
        }
        walk::check(&body);
    }

    #[test]
    fn any_bytes_at_all_do_no_harm(body in vec(any::<u8>(), 0..200)) {
        walk::check(&body);
    }
}
