//! What goes where, before any byte is copied.

use crate::WireError;
use crate::reader::Place;

use super::groups::{Group, NONE, Open};
use super::write::varint_len;

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
    /// How much memory all of this may take.
    room: usize,
}

impl Plan {
    pub(super) fn new(room: usize) -> Self {
        Self {
            room,
            ..Self::default()
        }
    }

    /// Whether it still has room. Lists grow into others of twice their length: three times what is in them is what
    /// they take at most.
    #[inline]
    fn fits(&self) -> Result<(), WireError> {
        let open = [&self.request, &self.resource, &self.scope];
        let places = self.headers.len() + open.map(Open::headers).iter().sum::<usize>();
        let bytes = self.groups.len() * size_of::<Group>()
            + self.runs.len() * size_of::<Run>()
            + places * size_of::<Place>();
        if bytes > self.room / 3 {
            return Err(WireError::NoRoom { room: self.room });
        }
        Ok(())
    }

    /// An item of the scope that is being read.
    #[inline]
    pub(super) fn item(&mut self, destination: u32, field: Place, items: usize) -> Result<(), WireError> {
        let group = self.scope.group(destination, &mut self.groups);
        append(&mut self.groups[group as usize], &mut self.runs, field, items);
        self.fits()
    }

    /// A whole resource of the request.
    pub(super) fn resource(&mut self, destination: u32, field: Place, items: usize) -> Result<(), WireError> {
        self.undivided = true;
        let group = self.request.group(destination, &mut self.groups);
        append(&mut self.groups[group as usize], &mut self.runs, field, items);
        self.fits()
    }

    pub(super) fn end_scope(&mut self) -> Result<(), WireError> {
        for group in self.scope.end(&mut self.groups, &mut self.headers) {
            take_in(&mut self.resource, &mut self.groups, group);
        }
        self.fits()
    }

    pub(super) fn end_resource(&mut self) -> Result<(), WireError> {
        for group in self.resource.end(&mut self.groups, &mut self.headers) {
            take_in(&mut self.request, &mut self.groups, group);
        }
        self.fits()
    }

    /// Ends the request: its groups, one for each part.
    pub(super) fn end_request(&mut self) -> Vec<u32> {
        self.request.end(&mut self.groups, &mut self.headers).collect()
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
