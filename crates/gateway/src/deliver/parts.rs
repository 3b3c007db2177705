//! Requests that are routed by their content, cut into a part for each collector.

use bytes::Bytes;
use evenkeel::strategy::hash_key;
use evenkeel_otlp::{Compression, Encoding, Export, OtlpClient};
use evenkeel_otlp_wire::{RouteBy, SplitPlan, WireError, count_items};

use crate::admission::Ticket;
use crate::heavy;

/// The parts of a request.
#[derive(Debug)]
pub(super) struct Split(pub(super) Vec<Part>);

#[derive(Debug)]
pub(super) struct Part {
    pub(super) export: Export,
    /// A key of its own items: it leads to the collector that all of them belong to.
    pub(super) key: u64,
    pub(super) items: usize,
}

/// How a request is to be cut, before a byte of it is copied.
#[derive(Debug)]
pub(super) struct Cut {
    plan: SplitPlan,
    /// By place among the collectors: the first key that leads there.
    keys: Vec<Option<u64>>,
    /// The key of its first item.
    first: u64,
}

/// What came of planning it.
#[derive(Debug)]
pub(super) enum Planned {
    Cut(Box<Cut>),
    /// It is in too many pieces for the memory it may take. As one part it goes where its first item belongs.
    NoRoom(Part),
}

/// Plans how to cut a request by where the strategy would send each of its keys now, in `room` bytes of memory.
pub(super) fn plan(
    client: &OtlpClient,
    export: &Export,
    decoded: &Bytes,
    route: &RouteBy,
    room: usize,
) -> Result<Planned, WireError> {
    let preview = client.balancer().preview();
    // What has no key belongs nowhere, so all such go together to any one.
    let lot = fastrand::u64(..);
    let mut keys = vec![None; preview.len().max(1)];
    let mut first = None;
    let mut last: Option<(Box<[u8]>, u32)> = None;
    let mut place = |key: Option<&[u8]>| {
        let hash = key.map_or(lot, hash_key);
        first.get_or_insert(hash);
        let place = preview.place_of(hash).unwrap_or(0);
        if let Some(first) = keys.get_mut(place) {
            first.get_or_insert(hash);
        }
        u32::try_from(place).unwrap_or(0)
    };
    let destination = |key: Option<&[u8]>| match (key, &last) {
        // Items of a trace mostly lie side by side.
        (Some(key), Some((before, at))) if **before == *key => *at,
        (Some(key), _) => {
            let at = place(Some(key));
            match &mut last {
                Some((before, place)) if before.len() == key.len() => {
                    before.copy_from_slice(key);
                    *place = at;
                }
                last => *last = Some((key.into(), at)),
            }
            at
        }
        (None, _) => place(None),
    };
    let plan = SplitPlan::new(decoded, export.signal(), route, room, destination);
    let first = first.unwrap_or(lot);
    match plan {
        Ok(plan) => Ok(Planned::Cut(Box::new(Cut { plan, keys, first }))),
        Err(WireError::NoRoom { .. }) => Ok(Planned::NoRoom(Part {
            export: export.clone(),
            key: first,
            items: count_items(decoded, export.signal())?,
        })),
        Err(error) => Err(error),
    }
}

impl Cut {
    /// How many bytes the parts will take beside the request: none if there is one, which is the request.
    pub(super) fn copies(&self) -> usize {
        self.plan.copies()
    }

    /// Makes the parts.
    pub(super) fn make(self, export: &Export) -> Split {
        let whole = self.copies() == 0;
        let parts = self.plan.into_parts().into_iter().map(|part| Part {
            export: if whole {
                // As it came, compressed if it was.
                export.clone()
            } else {
                Export::new(export.signal(), Encoding::Protobuf, Compression::None, part.body)
            },
            key: self
                .keys
                .get(part.destination)
                .copied()
                .flatten()
                .unwrap_or(self.first),
            items: part.items,
        });
        Split(parts.collect())
    }

    /// All of the request as one part.
    pub(super) fn together(self, export: Export) -> Split {
        let items = self.plan.items();
        let key = self.first;
        Split(vec![Part { export, key, items }])
    }
}

impl Split {
    /// Each part as the client would send it: beside the runtime's threads if they are large, and once however
    /// often a part is sent.
    pub(super) async fn compressed(self, compression: Compression, ticket: &mut Ticket) -> Self {
        if compression == Compression::None {
            return self;
        }
        let parts = self.0;
        let bytes = parts.iter().map(|part| part.export.body().len()).sum();
        let compress = move |mut part: Part| {
            // What fails here fails in the client, which says why.
            if let Ok(export) = part.export.clone().compressed(compression) {
                part.export = export;
            }
            part
        };
        Self(heavy::run(ticket, bytes, move || parts.into_iter().map(compress).collect()).await)
    }
}

/// Parts of one request put together again: messages one behind the other are one with the items of all.
pub(super) fn joined(mut parts: Vec<Part>) -> Option<Export> {
    let first = parts.pop()?.export;
    if parts.is_empty() {
        return Some(first);
    }
    let mut body = first.body().to_vec();
    for part in &parts {
        body.extend_from_slice(part.export.body());
    }
    Some(Export::new(
        first.signal(),
        first.encoding(),
        first.compression(),
        body.into(),
    ))
}
