//! Reads the fields of one protobuf message in place.

use crate::WireError;

/// How deep groups may lie in one another: as deep as the usual decoders follow messages.
const MAX_GROUP_DEPTH: usize = 100;

/// Where something is in the body: from the first byte to before the last. Half the size of a
/// `Range<usize>`, of which a split keeps one for each item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Place {
    pub(crate) const fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    pub(crate) fn of(self, body: &[u8]) -> &[u8] {
        &body[self.start as usize..self.end as usize]
    }
}

/// One field: all of its bytes, and those of its value if it has a length of its own (a string, bytes or
/// a message).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) whole: Place,
    pub(crate) inner: Option<Place>,
}

/// The fields of the message at a place of the body, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    body: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    /// All of a body.
    pub(crate) fn new(body: &'a [u8]) -> Result<Self, WireError> {
        if body.len() > i32::MAX as usize {
            return Err(WireError::TooLong { len: body.len() });
        }
        Ok(Self {
            body,
            at: 0,
            end: body.len(),
        })
    }

    /// The message inside a field that this reader, or one above it, returned.
    pub(crate) const fn inside(self, message: Place) -> Self {
        Self {
            body: self.body,
            at: message.start as usize,
            end: message.end as usize,
        }
    }

    /// The bytes at a place.
    pub(crate) fn bytes(self, at: Place) -> &'a [u8] {
        at.of(self.body)
    }

    /// The next field, or `None` at the end of the message.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Field>, WireError> {
        if self.at == self.end {
            return Ok(None);
        }
        let start = self.at;
        let (number, wire_type) = self.tag()?;
        let inner = self.value(number, wire_type, start)?;
        Ok(Some(Field {
            number,
            whole: place(start, self.at),
            inner,
        }))
    }

    /// Goes past a value; says where it is if it has a length.
    #[inline]
    fn value(&mut self, number: u32, wire_type: u8, start: usize) -> Result<Option<Place>, WireError> {
        match wire_type {
            0 => {
                self.varint()?;
            }
            1 => self.skip(8, start)?,
            2 => {
                let len = self.varint()?;
                let from = self.at;
                self.skip(usize::try_from(len).unwrap_or(usize::MAX), start)?;
                return Ok(Some(place(from, self.at)));
            }
            3 => self.group(number, start)?,
            // A group's end without a beginning: 6 and 7 are no wire types and were refused.
            4 => return Err(WireError::Group { at: start }),
            _ => self.skip(4, start)?,
        }
        Ok(None)
    }

    /// Goes past a group whose beginning was read, those inside it included. Not by recursion: what a
    /// stranger sends must not decide how deep our stack gets.
    fn group(&mut self, number: u32, start: usize) -> Result<(), WireError> {
        let stray = WireError::Group { at: start };
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            if self.at == self.end {
                return Err(stray);
            }
            let field = self.at;
            let (number, wire_type) = self.tag()?;
            match wire_type {
                3 if open.len() == MAX_GROUP_DEPTH => return Err(stray),
                3 => open.push(number),
                4 if number == innermost => {
                    open.pop();
                }
                4 => return Err(WireError::Group { at: field }),
                _ => {
                    self.value(number, wire_type, field)?;
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn tag(&mut self) -> Result<(u32, u8), WireError> {
        let at = self.at;
        let tag = self.varint()?;
        let wire_type = (tag & 7) as u8;
        match u32::try_from(tag) {
            Ok(small) if small >> 3 != 0 && wire_type < 6 => Ok((small >> 3, wire_type)),
            _ => Err(WireError::Tag { at, tag }),
        }
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, WireError> {
        match self.body[..self.end].get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let at = self.at;
        let mut value = 0;
        for (index, &byte) in self.body[at..self.end].iter().take(10).enumerate() {
            // The tenth byte has room for one bit.
            if index == 9 && byte > 1 {
                return Err(WireError::Overlong { at });
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.at += index + 1;
                return Ok(value);
            }
        }
        Err(WireError::Truncated { at })
    }

    #[inline]
    fn skip(&mut self, len: usize, start: usize) -> Result<(), WireError> {
        if len > self.end - self.at {
            return Err(WireError::Truncated { at: start });
        }
        self.at += len;
        Ok(())
    }
}

/// Offsets fit: a body has less than 2^31 bytes.
const fn place(start: usize, end: usize) -> Place {
    Place {
        start: start as u32,
        end: end as u32,
    }
}
