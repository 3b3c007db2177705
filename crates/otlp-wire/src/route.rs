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

/// The value of a pair if `name` is its key.
fn value_of<'a>(reader: Reader<'a>, pair: Place, name: &str) -> Result<Option<&'a [u8]>, WireError> {
    let mut fields = reader.inside(pair);
    let (mut key, mut value) = (None, None);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => key = field.inner.or(key),
            2 => value = field.inner.or(value),
            _ => {}
        }
    }
    let (Some(key), Some(value)) = (key, value) else {
        return Ok(None);
    };
    if reader.bytes(key) != name.as_bytes() {
        return Ok(None);
    }
    let mut any = reader.inside(value);
    while let Some(field) = any.next()? {
        if let (1, Some(string)) = (field.number, field.inner) {
            return Ok(Some(reader.bytes(string)));
        }
    }
    Ok(Some(reader.bytes(value)))
}
