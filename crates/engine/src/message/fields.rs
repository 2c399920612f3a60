//! Field lines as text, in one piece of memory however many there are.
//!
//! Next: [`super::copying`], how they come in; [`super::shape`], how they go out.

use super::copying::{Careful, Copying, Plain, few};
use super::head::checked;
use crate::event::Field;

/// Field lines in wire order, in one piece of text: `name value name value …`.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    /// Invariant: UTF-8.
    text: Vec<u8>,
    /// Where the first name starts; what stands before it is not the fields'.
    start: u32,
    /// Ends of name and value of each line in `text`. Invariant: ascending, and at character boundaries.
    ends: Vec<(u32, u32)>,
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
        self.extend::<Plain>(fields);
        if !self.is_plain(0) {
            self.clear();
            self.extend::<Careful>(fields);
        }
    }

    /// Names and values in wire order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.lines().map(|(name, value)| (checked(name), checked(value)))
    }

    /// Names and values in wire order, as bytes, which are UTF-8.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let mut start = self.start as usize;
        self.ends.iter().map(move |&(name, value)| {
            let line = (&self.text[start..name as usize], &self.text[name as usize..value as usize]);
            start = value as usize;
            line
        })
    }

    /// The text from the start of each line to the end of all, with how many of its bytes are name and value.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (&[u8], usize, usize)> {
        let mut start = self.start;
        self.ends.iter().map(move |&(name, value)| {
            let run = (&self.text[start as usize..], (name - start) as usize, (value - name) as usize);
            start = value;
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
    pub(crate) fn may_repeat(&self) -> bool {
        let mut names = Names::default();
        self.lines().any(|(name, _)| names.note(name))
    }

    /// Names that come more than once, and maybe some that do not.
    pub(super) fn repeated(&self) -> Names {
        let (mut names, mut repeated) = (Names::default(), Names::default());
        for (name, _) in self.lines() {
            if names.note(name) {
                repeated.note(name);
            }
        }
        repeated
    }

    pub(super) fn before(&self) -> &[u8] {
        &self.text[..self.start as usize]
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.start = 0;
        self.ends.clear();
    }

    /// Appends to what stands before the fields, and says where that ends.
    #[inline(always)]
    pub(super) fn extend_before<C: Copying>(&mut self, bytes: &[u8]) -> u32 {
        C::text(&mut self.text, bytes);
        self.start = self.text.len() as u32;
        self.start
    }

    #[inline(always)]
    pub(super) fn extend<C: Copying>(&mut self, fields: &[Field<'_>]) {
        for field in fields {
            C::name(&mut self.text, field.name);
            let name = self.text.len() as u32;
            C::value(&mut self.text, field.value);
            self.ends.push((name, self.text.len() as u32));
        }
    }

    /// Whether the text has no folds and is UTF-8 in each of its pieces; `within` is one more place at which pieces meet.
    #[inline(always)]
    pub(super) fn is_plain(&self, within: u32) -> bool {
        let meets = |at: u32| self.text.get(at as usize).is_none_or(|&byte| byte & 0xc0 != 0x80);
        let utf8 = || {
            simdutf8::basic::from_utf8(&self.text).is_ok()
                && meets(within)
                && meets(self.start)
                && self.ends.iter().all(|&(name, value)| meets(name) && meets(value))
        };
        memchr::memchr(b'\n', &self.text).is_none() && (self.text.is_ascii() || utf8())
    }

    pub(super) fn redact(&mut self, names: &[String], replace: &mut dyn FnMut(&str, &str) -> String) {
        if names.is_empty() || !self.iter().any(|(name, _)| names.iter().any(|n| n.eq_ignore_ascii_case(name))) {
            return;
        }
        let mut redacted = Self { text: self.before().to_owned(), start: self.start, ends: Vec::new() };
        for (name, value) in self.iter() {
            redacted.text.extend_from_slice(name.as_bytes());
            let name_end = redacted.text.len() as u32;
            match names.iter().any(|n| n.eq_ignore_ascii_case(name)) {
                true => redacted.text.extend_from_slice(replace(name, value).as_bytes()),
                false => redacted.text.extend_from_slice(value.as_bytes()),
            }
            redacted.ends.push((name_end, redacted.text.len() as u32));
        }
        *self = redacted;
    }

    /// Bytes of names and values.
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

/// A set of names as a Bloom filter of 1024 bits.
#[derive(Debug, Default)]
pub(super) struct Names([u64; 16]);

impl Names {
    /// Notes a name, and says whether it may be noted already: more often than it is, never less.
    #[inline(always)]
    fn note(&mut self, name: &[u8]) -> bool {
        let (word, bit) = Self::place(name);
        let noted = self.0[word] & bit != 0;
        self.0[word] |= bit;
        noted
    }

    pub(super) fn may_have(&self, name: &[u8]) -> bool {
        let (word, bit) = Self::place(name);
        self.0[word] & bit != 0
    }

    /// By both ends of the name, which together are nearly always all of it.
    #[inline(always)]
    fn place(name: &[u8]) -> (usize, u64) {
        let ends = match (name.first_chunk(), name.last_chunk()) {
            (Some(first), Some(last)) => [u64::from_le_bytes(*first), u64::from_le_bytes(*last)],
            _ => [few(name), 0],
        };
        // Two odd numbers without pattern: digits of π, as in `Config::hash_key`.
        let mixed = ends[0].wrapping_mul(0x243f_6a88_85a3_08d3) ^ ends[1].wrapping_mul(0x1319_8a2e_0370_7345);
        ((mixed >> 60) as usize, 1 << (mixed >> 54 & 63))
    }
}
