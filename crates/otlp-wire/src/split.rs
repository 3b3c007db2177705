//! Splitting a request by where its items go.

mod groups;
mod plan;
mod write;

use bytes::Bytes;

use crate::reader::{Place, Reader};
use crate::route::{attribute, trace_id};
use crate::signal::{ITEM, RESOURCE, SCOPE};
use crate::{RouteBy, Signal, WireError};

use plan::Plan;

/// What of a request goes to one destination: a request of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// The number that was given for its items.
    pub destination: usize,
    /// The request, encoded.
    pub body: Bytes,
    /// How many items are in it: spans, data points or log records.
    pub items: usize,
}

/// Splits a request: `destination` is called for each item with what it is routed by (`None` if it has no
/// such thing) and says where it goes, by a small number; items of one destination come out as one
/// request. When all have the same destination, that is the body itself, without a copy.
///
/// Destinations come in the order in which they first appear, items in the order they had. A resource or a
/// scope goes, whole, with each part that has items of it, and so do fields that are not known here. One
/// that has no items at all goes nowhere, so a request without items has no parts.
///
/// Time and memory grow with the items, not with the destinations; memory with the largest number that
/// `destination` returns too, four bytes for each, so let them be indices.
///
/// # Errors
/// The first place where what had to be read is no protobuf. What is inside an item is read as far as
/// it is routed by or counted.
pub fn split(
    body: &Bytes,
    signal: Signal,
    by: &RouteBy,
    mut destination: impl FnMut(Option<&[u8]>) -> u32,
) -> Result<Vec<Part>, WireError> {
    let frame = Reader::new(body)?;
    let mut plan = Plan::default();
    match by {
        RouteBy::TraceId => by_item(frame, signal, &mut plan, &mut |item| {
            Ok(destination(trace_id(frame, signal, item)?))
        })?,
        RouteBy::ResourceAttribute(name) => by_resource(frame, signal, &mut plan, &mut |resource| {
            Ok(destination(attribute(frame, resource, name)?))
        })?,
    }
    Ok(plan.parts(body))
}

type Choose<'a> = &'a mut dyn FnMut(Place) -> Result<u32, WireError>;

/// Each item by itself.
fn by_item(frame: Reader<'_>, signal: Signal, plan: &mut Plan, choose: Choose<'_>) -> Result<(), WireError> {
    let mut request = frame;
    while let Some(field) = request.next()? {
        let (RESOURCE, Some(resource)) = (field.number, field.inner) else {
            plan.request.header(field.whole);
            continue;
        };
        let mut resource = frame.inside(resource);
        while let Some(field) = resource.next()? {
            let (SCOPE, Some(scope)) = (field.number, field.inner) else {
                plan.resource.header(field.whole);
                continue;
            };
            let mut scope = frame.inside(scope);
            while let Some(field) = scope.next()? {
                let (ITEM, Some(item)) = (field.number, field.inner) else {
                    plan.scope.header(field.whole);
                    continue;
                };
                let items = signal.items_of(frame, item)?;
                plan.item(choose(item)?, field.whole, items);
            }
            plan.end_scope();
        }
        plan.end_resource();
    }
    Ok(())
}

/// Each resource with all that is in it.
fn by_resource(
    frame: Reader<'_>,
    signal: Signal,
    plan: &mut Plan,
    choose: Choose<'_>,
) -> Result<(), WireError> {
    let mut request = frame;
    while let Some(field) = request.next()? {
        let (RESOURCE, Some(resource)) = (field.number, field.inner) else {
            plan.request.header(field.whole);
            continue;
        };
        let items = crate::count::items_of_resource(frame, signal, resource)?;
        if items > 0 {
            plan.resource(choose(resource)?, field.whole, items);
        }
    }
    Ok(())
}
