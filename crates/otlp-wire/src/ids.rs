//! Whose each item is: the ids that its span or log record carries.

use crate::reader::{Place, Reader};
use crate::signal::{ITEM, RESOURCE, SCOPE};
use crate::{Signal, WireError};

/// The ids of one item, as they are in the request: 16 and 8 bytes if they are in order, which is not
/// checked here. `None` where the item has none or an empty one, as metrics always do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ItemIds<'a> {
    /// The trace it belongs to.
    pub trace_id: Option<&'a [u8]>,
    /// The span that it is, or that a log record was written in.
    pub span_id: Option<&'a [u8]>,
}

/// Shows the ids of each span, log record or metric to `visit`, in the order they are in the request. With
/// metrics that is once for each metric and not for each of its data points.
///
/// Nothing is allocated. What has been visited before malformed input is found stays visited.
///
/// # Errors
/// The first place where the frame or an item is no protobuf.
pub fn for_each_item<'a>(
    body: &'a [u8],
    signal: Signal,
    mut visit: impl FnMut(ItemIds<'a>),
) -> Result<(), WireError> {
    let mut request = Reader::new(body)?;
    let frame = request;
    while let Some(field) = request.next()? {
        let (RESOURCE, Some(resource)) = (field.number, field.inner) else {
            continue;
        };
        let mut resource = frame.inside(resource);
        while let Some(field) = resource.next()? {
            let (SCOPE, Some(scope)) = (field.number, field.inner) else {
                continue;
            };
            let mut scope = frame.inside(scope);
            while let Some(field) = scope.next()? {
                if let (ITEM, Some(item)) = (field.number, field.inner) {
                    visit(ids(frame, signal, item)?);
                }
            }
        }
    }
    Ok(())
}

/// Should an id be there twice, the last one counts, as with every decoder.
fn ids<'a>(frame: Reader<'a>, signal: Signal, item: Place) -> Result<ItemIds<'a>, WireError> {
    let mut ids = ItemIds::default();
    let (Some(trace), Some(span)) = (signal.trace_id_field(), signal.span_id_field()) else {
        return Ok(ids);
    };
    let mut fields = frame.inside(item);
    while let Some(field) = fields.next()? {
        let Some(inner) = field.inner else { continue };
        let value = Some(frame.bytes(inner)).filter(|id| !id.is_empty());
        if field.number == trace {
            ids.trace_id = value;
        } else if field.number == span {
            ids.span_id = value;
        }
    }
    Ok(ids)
}
