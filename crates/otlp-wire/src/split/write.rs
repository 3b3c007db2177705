//! Writing the parts.

use bytes::Bytes;

use crate::signal::{RESOURCE, SCOPE};

use super::groups::{Group, NONE};
use super::plan::Plan;

/// The bytes that a number of variable length takes.
pub(super) const fn varint_len(value: usize) -> usize {
    let bits = usize::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Writes what was planned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer<'a> {
    plan: &'a Plan,
    body: &'a [u8],
}

impl<'a> Writer<'a> {
    pub(super) const fn new(plan: &'a Plan, body: &'a [u8]) -> Self {
        Self { plan, body }
    }

    /// A request of one destination.
    pub(super) fn request(self, request: &Group) -> Bytes {
        let mut out = Vec::with_capacity(request.len);
        self.headers(&mut out, request);
        if self.plan.undivided {
            self.runs(&mut out, request);
        } else {
            for resource in self.children(request) {
                message(&mut out, RESOURCE, resource.len);
                self.headers(&mut out, resource);
                for scope in self.children(resource) {
                    message(&mut out, SCOPE, scope.len);
                    self.headers(&mut out, scope);
                    self.runs(&mut out, scope);
                }
            }
        }
        debug_assert_eq!(out.len(), request.len, "the length was planned");
        out.into()
    }

    fn children(self, group: &Group) -> impl Iterator<Item = &'a Group> {
        let groups = &self.plan.groups;
        let first = groups.get(group.first as usize);
        std::iter::successors(first, |group| groups.get(group.next as usize))
    }

    fn headers(self, out: &mut Vec<u8>, group: &Group) {
        let (from, to) = group.headers;
        for header in &self.plan.headers[from as usize..to as usize] {
            out.extend_from_slice(header.of(self.body));
        }
    }

    fn runs(self, out: &mut Vec<u8>, group: &Group) {
        let mut next = group.first;
        while next != NONE {
            let run = &self.plan.runs[next as usize];
            out.extend_from_slice(run.place.of(self.body));
            next = run.next;
        }
    }
}

/// The beginning of a field that holds a message; the field's number is below 16.
fn message(out: &mut Vec<u8>, number: u32, len: usize) {
    out.push((number << 3 | 2) as u8);
    let mut rest = len;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
