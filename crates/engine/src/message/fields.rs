//! Field lines as text, in one piece of memory however many there are.
//!
//! Next: [`super::names`] and [`super::copying`], how they come in; [`super::shape`], how they go out.

use sniffer_packet::block::position;

use super::copying::{push_text, push_value};
use super::head::checked;
use super::names::{Hash, Names, lower};
use crate::http::Field;

/// Field lines in wire order, in one piece of text.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    /// Names and values, each UTF-8; and at the end [`BEHIND`].
    text: Vec<u8>,
    /// Where the first name starts; what stands before it is not the fields'.
    start: u32,
    /// How many bytes stand between a name, its value and the next name: [`BETWEEN`], or none.
    between: u32,
    /// Ends of name and value of each line in `text`. Invariant: ascending, and at character boundaries.
    ends: Vec<(u32, u32)>,
    /// Whether a name may come more than once.
    may_repeat: bool,
}

/// A colon and a space behind a name, CR and LF behind a value: all that stands between them in nearly every head.
const BETWEEN: usize = 2;

/// So that names and values can be read in chunks, whose rest is not looked at.
const BEHIND: [u8; 32] = [0; 32];

/// Where a piece stands in a text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Where a piece of `text` stands in it; `None` when it is no piece of it.
    #[inline(always)]
    pub(super) fn of(piece: &[u8], text: &[u8]) -> Option<Self> {
        let start = position(piece, text)?;
        Some(Self { start: start as u32, end: (start + piece.len()) as u32 })
    }
}

impl Fields {
    /// Copies field lines, names in lower case.
    pub fn new(fields: &[Field<'_>]) -> Self {
        let mut copy = Self::default();
        copy.set(fields);
        copy
    }

    /// Copies field lines over these, into the memory there is.
    pub(crate) fn set(&mut self, fields: &[Field<'_>]) {
        self.clear();
        self.push(fields);
    }

    /// Copies a whole head, start line and all, of which these are the fields: one copy, and names become lower case in it.
    ///
    /// `None` when more stands between names and values than usual, or less, or they are no pieces of it, which their addresses
    /// visit; whether they are UTF-8 is not looked at.
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

    /// Appends to what stands before the fields, and says where it is.
    pub(super) fn push_before(&mut self, bytes: &[u8]) -> Span {
        push_text(&mut self.text, bytes);
        let start = std::mem::replace(&mut self.start, self.text.len() as u32);
        Span { start, end: self.start }
    }

    /// Appends fields, which are all there will be, behind what stands before them.
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

    /// Makes names lower case, and notes whether one may come more than once.
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

    /// What was copied at this place.
    pub(super) fn piece(&self, place: Span) -> &[u8] {
        &self.text[place.start as usize..place.end as usize]
    }

    /// Names and values in wire order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.lines().map(|(name, value)| (checked(name), checked(value)))
    }

    /// Names and values in wire order, as bytes, which are UTF-8.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let (mut start, between) = (self.start as usize, self.between as usize);
        self.ends.iter().map(move |&(name, value)| {
            let (name, value) = (name as usize, value as usize);
            let line = (&self.text[start..name], &self.text[name + between..value]);
            start = value + between;
            line
        })
    }

    /// Names and values, each as its length and all the text from its start.
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

    /// Values of a name, which must be in lower case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + Clone {
        self.lines().filter(move |&(n, _)| n == name.as_bytes()).map(|(_, value)| checked(value))
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many lines there are.
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether a name may come more than once: says so more often than one does, never less.
    ///
    /// Comparing every name with every other was a tenth of writing a message of ten fields, and grew with their square.
    pub(crate) const fn may_repeat(&self) -> bool {
        self.may_repeat
    }

    /// Names that come more than once, and maybe some that do not.
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

    /// Bytes of names and values, and of what stands between and behind them.
    pub(crate) const fn text_len(&self) -> usize {
        self.text.len() - self.start as usize
    }

    /// Accounted bytes on the heap, by what is used.
    pub(crate) fn held(&self) -> usize {
        self.text.len() + self.ends.len() * size_of::<(u32, u32)>()
    }

    /// Bytes of its memory, used or not.
    pub(crate) const fn capacity(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<(u32, u32)>()
    }
}
