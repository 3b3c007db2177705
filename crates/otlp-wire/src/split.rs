//! Splitting a request by where its items go.

mod groups;
mod plan;
mod write;

use bytes::Bytes;

use crate::reader::{Place, Reader};
use crate::route::{attribute, trace_id};
use crate::signal::{ITEM, RESOURCE, SCOPE};
use crate::{RouteBy, Signal, WireError, count_items, for_each_item};

use groups::Group;
use plan::Plan;
use write::Writer;

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
/// `destination` returns too, four bytes for each, so let them be indices. Who splits what strangers send
/// bounds both by a [`SplitPlan`].
///
/// # Errors
/// The first place where what had to be read is no protobuf. What is inside an item is read as far as
/// it is routed by or counted.
pub fn split(
    body: &Bytes,
    signal: Signal,
    by: &RouteBy,
    destination: impl FnMut(Option<&[u8]>) -> u32,
) -> Result<Vec<Part>, WireError> {
    Ok(SplitPlan::new(body, signal, by, usize::MAX, destination)?.into_parts())
}

/// A [`split`] that is known in all its lengths while no byte of it is copied yet.
///
/// ```
/// use bytes::Bytes;
/// use evenkeel_otlp_wire::{RouteBy, Signal, SplitPlan};
///
/// let body = Bytes::new(); // an ExportTraceServiceRequest
/// let plan = SplitPlan::new(&body, Signal::Traces, &RouteBy::TraceId, 1 << 20, |_| 0)?;
/// if plan.copies() < 1 << 20 {
///     assert!(plan.into_parts().is_empty());
/// }
/// # Ok::<(), evenkeel_otlp_wire::WireError>(())
/// ```
#[derive(Debug)]
pub struct SplitPlan {
    plan: Plan,
    /// One for each part.
    groups: Vec<u32>,
    body: Bytes,
}

impl SplitPlan {
    /// Plans what [`split`] does, in `room` bytes of memory at most. It takes some 120 for each destination that a
    /// resource or a scope has items for, and 36 for each item that does not go where the one before it goes: of
    /// messages that carry nothing, which are two bytes long, that is many times the body.
    ///
    /// # Errors
    /// As `split`; [`WireError::NoRoom`] if it would take more memory.
    pub fn new(
        body: &Bytes,
        signal: Signal,
        by: &RouteBy,
        room: usize,
        mut destination: impl FnMut(Option<&[u8]>) -> u32,
    ) -> Result<Self, WireError> {
        let frame = Reader::new(body)?;
        let mut plan = Plan::new(room);
        match by {
            RouteBy::TraceId => by_item(frame, signal, &mut plan, &mut |item| {
                Ok(destination(trace_id(frame, signal, item)?))
            })?,
            RouteBy::ResourceAttribute(name) => by_resource(frame, signal, &mut plan, &mut |resource| {
                Ok(destination(attribute(frame, resource, name)?))
            })?,
        }
        Ok(Self {
            groups: plan.end_request(),
            plan,
            body: body.clone(),
        })
    }

    /// How many bytes [`into_parts`](Self::into_parts) copies: the lengths of all parts, or none if there is only one.
    #[must_use]
    pub fn copies(&self) -> usize {
        match &*self.groups {
            [_, _, ..] => self.parts().map(|part| part.len).sum(),
            _ => 0,
        }
    }

    /// How many items there are in all parts.
    #[must_use]
    pub fn items(&self) -> usize {
        self.parts().map(|part| part.items).sum()
    }

    /// The requests that come out.
    #[must_use]
    pub fn into_parts(self) -> Vec<Part> {
        let writer = Writer::new(&self.plan, &self.body);
        let part = |part: &Group| Part {
            destination: part.destination as usize,
            body: match &*self.groups {
                [_] => self.body.clone(),
                _ => writer.request(part),
            },
            items: part.items,
        };
        self.parts().map(part).collect()
    }

    fn parts(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().map(|&group| &self.plan.groups[group as usize])
    }
}

/// Whether a request can be split so: reads what [`split`] reads, and keeps nothing.
///
/// # Errors
/// As `split`.
pub fn check_split(body: &[u8], signal: Signal, by: &RouteBy) -> Result<(), WireError> {
    let RouteBy::ResourceAttribute(name) = by else {
        // Ids are not in all signals, data points not in all items.
        for_each_item(body, signal, |_| ())?;
        return count_items(body, signal).map(drop);
    };
    let frame = Reader::new(body)?;
    let mut request = frame;
    while let Some(field) = request.next()? {
        let (RESOURCE, Some(resource)) = (field.number, field.inner) else {
            continue;
        };
        if crate::count::items_of_resource(frame, signal, resource)? > 0 {
            attribute(frame, resource, name)?;
        }
    }
    Ok(())
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
                plan.item(choose(item)?, field.whole, items)?;
            }
            plan.end_scope()?;
        }
        plan.end_resource()?;
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
            plan.resource(choose(resource)?, field.whole, items)?;
        }
    }
    Ok(())
}
