//! What goes where, before any byte is copied.

use bytes::Bytes;

use crate::reader::Place;

use super::Part;
use super::groups::{Group, NONE, Open};
use super::write::{Writer, varint_len};

/// Fields that lie together in the body and have the same destination.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) place: Place,
    pub(super) next: u32,
}

/// The groups of a request, from the scopes upwards. A request is read once, field by field; what goes
/// with each part is known only at the end of each message, since nothing says that it comes first.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) request: Open,
    pub(super) resource: Open,
    pub(super) scope: Open,
    pub(super) groups: Vec<Group>,
    pub(super) runs: Vec<Run>,
    pub(super) headers: Vec<Place>,
    /// The groups of the request have runs in them, and not groups: resources are not divided.
    pub(super) undivided: bool,
}

impl Plan {
    /// An item of the scope that is being read.
    #[inline]
    pub(super) fn item(&mut self, destination: u32, field: Place, items: usize) {
        let group = self.scope.group(destination, &mut self.groups);
        append(&mut self.groups[group as usize], &mut self.runs, field, items);
    }

    /// A whole resource of the request.
    pub(super) fn resource(&mut self, destination: u32, field: Place, items: usize) {
        self.undivided = true;
        let group = self.request.group(destination, &mut self.groups);
        append(&mut self.groups[group as usize], &mut self.runs, field, items);
    }

    pub(super) fn end_scope(&mut self) {
        for group in self.scope.end(&mut self.groups, &mut self.headers) {
            take_in(&mut self.resource, &mut self.groups, group);
        }
    }

    pub(super) fn end_resource(&mut self) {
        for group in self.resource.end(&mut self.groups, &mut self.headers) {
            take_in(&mut self.request, &mut self.groups, group);
        }
    }

    /// The requests that come out.
    pub(super) fn parts(mut self, body: &Bytes) -> Vec<Part> {
        let mut request = std::mem::take(&mut self.request);
        let groups: Vec<u32> = request.end(&mut self.groups, &mut self.headers).collect();
        let alone = groups.len() == 1;
        let writer = Writer::new(&self, body);
        let part = |group: u32| {
            let group = &self.groups[group as usize];
            Part {
                destination: group.destination as usize,
                body: if alone {
                    body.clone()
                } else {
                    writer.request(group)
                },
                items: group.items,
            }
        };
        groups.into_iter().map(part).collect()
    }
}

/// Adds a field to the runs of a group.
#[inline]
fn append(group: &mut Group, runs: &mut Vec<Run>, field: Place, items: usize) {
    group.len += field.len();
    group.items += items;
    let new = runs.len() as u32;
    match runs.get_mut(group.last as usize) {
        Some(last) if last.place.end == field.start => {
            last.place.end = field.end;
            return;
        }
        Some(last) => last.next = new,
        None => group.first = new,
    }
    group.last = new;
    runs.push(Run {
        place: field,
        next: NONE,
    });
}

/// Adds a finished group to that of the same destination one level up.
fn take_in(parent: &mut Open, groups: &mut Vec<Group>, child: u32) {
    let Group {
        destination,
        len,
        items,
        ..
    } = groups[child as usize];
    let index = parent.group(destination, groups) as usize;
    let group = &mut groups[index];
    let last = std::mem::replace(&mut group.last, child);
    group.len += 1 + varint_len(len) + len;
    group.items += items;
    match groups.get_mut(last as usize) {
        Some(last) => last.next = child,
        None => groups[index].first = child,
    }
}
