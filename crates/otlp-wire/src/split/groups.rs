//! What one message has for each destination.

use std::vec::Drain;

use crate::reader::Place;

/// No entry.
pub(super) const NONE: u32 = u32::MAX;

/// What a scope, a resource or a request has for one destination.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) destination: u32,
    /// The list of what is in it: runs in a scope, groups of scopes in a resource, groups of
    /// resources in a request.
    pub(super) first: u32,
    pub(super) last: u32,
    /// The next group in the list of the message around it.
    pub(super) next: u32,
    /// The length of the message that will be written, with its headers once they are known.
    pub(super) len: usize,
    pub(super) items: usize,
    /// The fields that go with every part, as a range of the plan's headers.
    pub(super) headers: (u32, u32),
}

/// The message that is being read: its groups so far by destination, and its headers.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// By destination: the group in the arena.
    groups: Vec<u32>,
    /// Those that have one, in the order of their first item.
    touched: Vec<u32>,
    headers: Vec<Place>,
}

impl Open {
    /// A field that goes with every part.
    pub(super) fn header(&mut self, field: Place) {
        extend(&mut self.headers, field);
    }

    /// How many places its headers so far take.
    pub(super) fn headers(&self) -> usize {
        self.headers.len()
    }

    /// The group of a destination, made if it is the first of it.
    #[inline]
    pub(super) fn group(&mut self, destination: u32, arena: &mut Vec<Group>) -> u32 {
        let index = destination as usize;
        if index >= self.groups.len() {
            self.groups.resize(index + 1, NONE);
        }
        if self.groups[index] == NONE {
            self.groups[index] = arena.len() as u32;
            self.touched.push(self.groups[index]);
            arena.push(Group {
                destination,
                first: NONE,
                last: NONE,
                next: NONE,
                len: 0,
                items: 0,
                headers: (0, 0),
            });
        }
        self.groups[index]
    }

    /// Ends the message: puts its headers away to `headers` and gives its groups, which have them now.
    /// Ready for the next one.
    pub(super) fn end(&mut self, arena: &mut [Group], headers: &mut Vec<Place>) -> Drain<'_, u32> {
        let from = headers.len();
        if !self.touched.is_empty() {
            headers.extend(&self.headers);
        }
        self.headers.clear();
        let len: usize = headers[from..].iter().map(|header| header.len()).sum();
        for &index in &self.touched {
            let group = &mut arena[index as usize];
            group.headers = (from as u32, headers.len() as u32);
            group.len += len;
            self.groups[group.destination as usize] = NONE;
        }
        self.touched.drain(..)
    }
}

/// Adds a place to a list of places, as one with the last if it follows it immediately.
fn extend(places: &mut Vec<Place>, place: Place) {
    match places.last_mut() {
        Some(last) if last.end == place.start => last.end = place.end,
        _ => places.push(place),
    }
}
