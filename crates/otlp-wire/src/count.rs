//! Counting.

use crate::reader::{Place, Reader};
use crate::signal::{ITEM, RESOURCE, SCOPE};
use crate::{Signal, WireError};

/// How many items a request carries: spans, data points or log records.
///
/// # Errors
/// The first place where the frame is no protobuf. What is inside an item is not looked at, but for the
/// data points of metrics.
pub fn count_items(body: &[u8], signal: Signal) -> Result<usize, WireError> {
    let mut request = Reader::new(body)?;
    let frame = request;
    let mut items = 0;
    while let Some(field) = request.next()? {
        if let (RESOURCE, Some(resource)) = (field.number, field.inner) {
            items += items_of_resource(frame, signal, resource)?;
        }
    }
    Ok(items)
}

/// How many items a resource has.
pub(crate) fn items_of_resource(
    frame: Reader<'_>,
    signal: Signal,
    resource: Place,
) -> Result<usize, WireError> {
    let mut resource = frame.inside(resource);
    let mut items = 0;
    while let Some(field) = resource.next()? {
        let (SCOPE, Some(scope)) = (field.number, field.inner) else {
            continue;
        };
        let mut scope = frame.inside(scope);
        while let Some(field) = scope.next()? {
            if let (ITEM, Some(item)) = (field.number, field.inner) {
                items += signal.items_of(frame, item)?;
            }
        }
    }
    Ok(items)
}
