//! Field lines as text, in one piece of memory for any number of them.
//!
//! ```text
//!   GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n\r\n 00…
//!                     ▲   ▲  ▲
//!                 start   └──┘ ends[0]
//! ```
//!
//! Next: [`super::names`] and [`super::copying`], which fill them; [`super::shape`], which writes
//! them.

use sniffer_packet::block::position;

use super::copying::{push_text, push_value};
use super::names::{Hash, Names, lower};
use crate::http::Field;

/// Field lines in wire order, in one piece of text.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    /// Names and values, each UTF-8, then [`BEHIND`].
    text: Vec<u8>,
    /// Start of the first name. The text before it belongs to the start line.
    start: u32,
    /// Number of bytes between a name, its value and the next name: [`BETWEEN`] or 0.
    between: u32,
    /// Ends of the name and the value of each line in `text`. Invariant: ascending, and at
    /// character boundaries.
    ends: Vec<(u32, u32)>,
    /// A name may occur more than once.
    may_repeat: bool,
}

/// Bytes after a name (colon and space) and after a value (CR and LF) in nearly every head.
const BETWEEN: usize = 2;

/// Padding after the last value, so that names and values can be read in whole chunks.
const BEHIND: [u8; 32] = [0; 32];

/// The place of a piece in a text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Returns the place of `piece` in `text`; `None` if it is not a part of `text`.
    #[inline(always)]
    pub(super) fn of(piece: &[u8], text: &[u8]) -> Option<Self> {
        let start = position(piece, text)?;
        Some(Self { start: start as u32, end: (start + piece.len()) as u32 })
    }
}

impl Fields {
    /// Copies field lines, names in lower case.
    #[cfg(test)]
    pub(crate) fn new(fields: &[Field<'_>]) -> Self {
        let mut copy = Self::default();
        copy.set(fields);
        copy
    }

    /// Replaces these fields by copies of `fields`. Reuses the memory.
    pub(crate) fn set(&mut self, fields: &[Field<'_>]) {
        self.clear();
        self.push(fields);
    }

    /// Copies the whole head that has these fields, start line included, in one copy. Then makes
    /// the names lower case in it.
    ///
    /// Returns `None` if the distances between names and values are not the usual ones, or if some
    /// are not parts of `head`, by their addresses. Does not check for UTF-8.
    #[inline(always)]
    pub(super) fn set_at_once(&mut self, head: &[u8], fields: &[Field<'_>]) -> Option<()> {
        self.clear();
        self.text.extend_from_slice(head);
        self.text.extend_from_slice(&BEHIND);
        self.between = BETWEEN as u32;
        self.ends.resize(fields.len(), (0, 0));
        let place = |piece: &[u8]| piece.as_ptr().addr().wrapping_sub(head.as_ptr().addr());
        let mut start = match fields.first() {
            Some(field) => position(field.name, head)?,
            None => head.len(),
        };
        self.start = start as u32;
        for (ends, field) in self.ends.iter_mut().zip(fields) {
            let name_end = start + field.name.len();
            if place(field.name) != start || place(field.value) != name_end + BETWEEN {
                return None;
            }
            let value_end = name_end + BETWEEN + field.value.len();
            *ends = (name_end as u32, value_end as u32);
            start = value_end + BETWEEN;
        }
        (start <= head.len() + BETWEEN).then(|| self.lower())
    }

    /// Appends to the text before the fields. Returns the place of the copy.
    pub(super) fn push_before(&mut self, bytes: &[u8]) -> Span {
        push_text(&mut self.text, bytes);
        let start = std::mem::replace(&mut self.start, self.text.len() as u32);
        Span { start, end: self.start }
    }

    /// Appends all fields, after the text before them.
    pub(super) fn push(&mut self, fields: &[Field<'_>]) {
        for field in fields {
            push_text(&mut self.text, field.name);
            let name = self.text.len() as u32;
            push_value(&mut self.text, field.value);
            self.ends.push((name, self.text.len() as u32));
        }
        self.text.extend_from_slice(&BEHIND);
        self.lower();
    }

    /// Makes names lower case, and notes whether one may repeat.
    #[inline(always)]
    fn lower(&mut self) {
        let mut names = Names::default();
        let mut start = self.start;
        for &(name, value) in &self.ends {
            let hash = lower(&mut self.text[start as usize..], (name - start) as usize);
            self.may_repeat |= names.note(hash);
            start = value + self.between;
        }
    }

    /// Returns the text at this place.
    pub(super) fn piece(&self, place: Span) -> &[u8] {
        &self.text[place.start as usize..place.end as usize]
    }

    /// Iterates over names and values in wire order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.lines().map(|(name, value)| (checked(name), checked(value)))
    }

    /// Iterates over names and values in wire order, as bytes, which are UTF-8.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let (mut start, between) = (self.start as usize, self.between as usize);
        self.ends.iter().map(move |&(name, value)| {
            let (name, value) = (name as usize, value as usize);
            let line = (&self.text[start..name], &self.text[name + between..value]);
            start = value + between;
            line
        })
    }

    /// Iterates over names and values, each as its length and all the text from its start.
    pub(crate) fn runs(&self) -> impl Iterator<Item = [(usize, &[u8]); 2]> {
        let (mut start, between) = (self.start as usize, self.between as usize);
        self.ends.iter().map(move |&(name, value)| {
            let (name, value) = (name as usize, value as usize);
            let value_start = name + between;
            let run = [(name - start, &self.text[start..]), (value - value_start, &self.text[value_start..])];
            start = value + between;
            run
        })
    }

    /// Iterates over the values of a name, which must be in lower case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + Clone {
        self.lines().filter(move |&(n, _)| n == name.as_bytes()).map(|(_, value)| checked(value))
    }

    /// Returns whether there are no lines.
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the number of lines.
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether a name may occur more than once; false is certain (hot: see NOTES#names).
    pub(crate) const fn may_repeat(&self) -> bool {
        self.may_repeat
    }

    /// Returns the names that occur more than once, and maybe some that do not.
    pub(super) fn repeated(&self) -> Names {
        let (mut names, mut repeated) = (Names::default(), Names::default());
        for (name, _) in self.lines() {
            let name = Hash::of(name);
            if names.note(name) {
                repeated.note(name);
            }
        }
        repeated
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.start = 0;
        self.between = 0;
        self.ends.clear();
        self.may_repeat = false;
    }

    pub(super) fn redact(&mut self, names: &[String], replace: &mut dyn FnMut(&str, &str) -> String) {
        if names.is_empty() || !self.iter().any(|(name, _)| names.iter().any(|n| n.eq_ignore_ascii_case(name))) {
            return;
        }
        let before = self.text[..self.start as usize].to_owned();
        let mut redacted = Self { text: before, start: self.start, may_repeat: self.may_repeat, ..Self::default() };
        for (name, value) in self.iter() {
            redacted.text.extend_from_slice(name.as_bytes());
            let name_end = redacted.text.len() as u32;
            match names.iter().any(|n| n.eq_ignore_ascii_case(name)) {
                true => redacted.text.extend_from_slice(replace(name, value).as_bytes()),
                false => redacted.text.extend_from_slice(value.as_bytes()),
            }
            redacted.ends.push((name_end, redacted.text.len() as u32));
        }
        redacted.text.extend_from_slice(&BEHIND);
        *self = redacted;
    }

    /// Returns the length of the text from the first name on, padding included.
    pub(crate) const fn text_len(&self) -> usize {
        self.text.len() - self.start as usize
    }

    /// Returns the accounted bytes on the heap: those in use.
    pub(crate) fn held(&self) -> usize {
        self.text.len() + self.ends.len() * size_of::<(u32, u32)>()
    }

    /// Returns the bytes of its memory, used or not.
    pub(crate) const fn capacity(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<(u32, u32)>()
    }
}

/// Returns text that was checked to be UTF-8 when it was copied.
pub(super) fn checked(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("checked when it was copied, and pieces end at character boundaries")
}
