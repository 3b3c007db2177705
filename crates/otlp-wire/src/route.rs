//! What an item is routed by.

use crate::reader::{Place, Reader};
use crate::signal::RESOURCE;
use crate::{Signal, WireError};

/// What decides where an item goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RouteBy {
    /// The trace that a span or a log record belongs to, so that a trace stays together. Metrics have
    /// none.
    TraceId,
    /// The attribute of this name of the item's resource, such as `service.name`.
    ResourceAttribute(String),
}

impl RouteBy {
    /// By the attribute `service.name` of the resource.
    #[must_use]
    pub fn service_name() -> Self {
        Self::ResourceAttribute("service.name".to_owned())
    }
}

/// The trace id of an item; `None` if it has none or an empty one. Should it be there twice, the last one
/// counts, as with every decoder; and no order of fields is assumed.
pub(crate) fn trace_id<'a>(
    reader: Reader<'a>,
    signal: Signal,
    item: Place,
) -> Result<Option<&'a [u8]>, WireError> {
    let Some(number) = signal.trace_id_field() else {
        return Ok(None);
    };
    let mut fields = reader.inside(item);
    let mut found = None;
    while let Some(field) = fields.next()? {
        if field.number == number && field.inner.is_some() {
            found = field.inner;
        }
    }
    Ok(found.map(|at| reader.bytes(at)).filter(|id| !id.is_empty()))
}

/// The value of an attribute of a resource: the bytes of a string, the encoded value if it is anything
/// else; `None` if there is no such attribute.
pub(crate) fn attribute<'a>(
    reader: Reader<'a>,
    resource_spans: Place,
    name: &str,
) -> Result<Option<&'a [u8]>, WireError> {
    let mut fields = reader.inside(resource_spans);
    let mut found = None;
    while let Some(field) = fields.next()? {
        // The resource: field 1 of what is field 1 of the request.
        let (RESOURCE, Some(resource)) = (field.number, field.inner) else {
            continue;
        };
        let mut resource = reader.inside(resource);
        while let Some(field) = resource.next()? {
            if let (1, Some(pair)) = (field.number, field.inner) {
                found = value_of(reader, pair, name)?.or(found);
            }
        }
    }
    Ok(found)
}

/// The value of a pair if `name` is its key. Key and value may be there more than once: of the key the last counts, and
/// values are one, of whose kinds the last counts.
fn value_of<'a>(reader: Reader<'a>, pair: Place, name: &str) -> Result<Option<&'a [u8]>, WireError> {
    let mut fields = reader.inside(pair);
    let (mut is_named, mut is_there) = (false, false);
    while let Some(field) = fields.next()? {
        match (field.number, field.inner) {
            (KEY, Some(key)) => is_named = reader.bytes(key) == name.as_bytes(),
            (VALUE, Some(_)) => is_there = true,
            _ => {}
        }
    }
    if !is_named || !is_there {
        return Ok(None);
    }
    let (mut found, mut encoded) = (None, None);
    let mut fields = reader.inside(pair);
    while let Some(field) = fields.next()? {
        let (VALUE, Some(value)) = (field.number, field.inner) else {
            continue;
        };
        encoded = Some(reader.bytes(value));
        let mut kinds = reader.inside(value);
        while let Some(kind) = kinds.next()? {
            match kind.number {
                STRING => found = kind.inner.map(|string| reader.bytes(string)),
                number if OTHERS.contains(&number) => found = None,
                _ => {}
            }
        }
    }
    Ok(found.or(encoded))
}

// KeyValue
const KEY: u32 = 1;
const VALUE: u32 = 2;
// AnyValue: a string, or one of the others
const STRING: u32 = 1;
const OTHERS: std::ops::RangeInclusive<u32> = 2..=8;
