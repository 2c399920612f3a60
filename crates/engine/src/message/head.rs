//! A head as text: what a message keeps of its start line and fields, in two pieces of memory however many there are.
//!
//! Knows nothing of JSON. Next: [`super::shape`].

use crate::event::{Field, Head, StartLine, Version};

/// A head as text: what is not UTF-8 was read as Latin-1, names are in lower case.
#[derive(Debug, Clone)]
pub struct HeadText {
    kind: Kind,
    version: Version,
    /// The start line's text stands before them: method and request-target, or the reason phrase.
    fields: Fields,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Request { method_len: u32 },
    Response { status: u16 },
}

impl HeadText {
    /// Copies a head.
    pub fn new(head: &Head<'_>) -> Self {
        let mut copy = Self { kind: Kind::Response { status: 0 }, version: head.version, fields: Fields::default() };
        copy.set(head);
        copy
    }

    /// Its memory, to be [set](Self::set) again.
    pub(crate) fn take(&mut self) -> Self {
        let fields = std::mem::take(&mut self.fields);
        Self { kind: self.kind, version: self.version, fields }
    }

    /// Copies a head over this one, into the memory it has.
    pub(crate) fn set(&mut self, head: &Head<'_>) {
        self.version = head.version;
        self.set_as::<Plain>(head);
        // Checked in one go: field by field it cost a tenth of the whole replay.
        if !self.fields.is_plain(self.method_len()) {
            self.set_as::<Careful>(head);
        }
    }

    fn set_as<C: Copying>(&mut self, head: &Head<'_>) {
        self.fields.clear();
        match head.start {
            StartLine::Request { method, target } => {
                C::text(&mut self.fields.text, method);
                self.kind = Kind::Request { method_len: self.fields.text.len() as u32 };
                C::text(&mut self.fields.text, target);
            }
            StartLine::Response { status, reason } => {
                self.kind = Kind::Response { status };
                C::text(&mut self.fields.text, reason);
            }
        }
        self.fields.start = self.fields.text.len() as u32;
        self.fields.extend::<C>(head.fields);
    }

    const fn method_len(&self) -> u32 {
        match self.kind {
            Kind::Request { method_len } => method_len,
            Kind::Response { .. } => 0,
        }
    }

    /// The method of a request.
    pub fn method(&self) -> Option<&str> {
        self.request_line().map(|(method, _)| checked(method))
    }

    /// The request-target of a request, verbatim.
    pub fn path(&self) -> Option<&str> {
        self.request_line().map(|(_, target)| checked(target))
    }

    /// Method and request-target, which are UTF-8.
    pub(super) fn request_line(&self) -> Option<(&[u8], &[u8])> {
        match self.kind {
            Kind::Request { method_len } => self.fields.before().split_at_checked(method_len as usize),
            Kind::Response { .. } => None,
        }
    }

    /// The status code of a response.
    pub const fn status(&self) -> Option<u16> {
        match self.kind {
            Kind::Request { .. } => None,
            Kind::Response { status } => Some(status),
        }
    }

    /// The reason phrase of a response, when it is not empty.
    pub fn reason(&self) -> Option<&str> {
        self.reason_phrase().map(checked)
    }

    /// The same, as bytes, which are UTF-8.
    pub(super) fn reason_phrase(&self) -> Option<&[u8]> {
        match self.kind {
            Kind::Response { .. } => Some(self.fields.before()).filter(|reason| !reason.is_empty()),
            Kind::Request { .. } => None,
        }
    }

    /// `1.0` or `1.1`.
    pub const fn version(&self) -> &'static str {
        match self.version {
            Version::Http10 => "1.0",
            Version::Http11 => "1.1",
        }
    }

    /// The field lines.
    pub const fn fields(&self) -> &Fields {
        &self.fields
    }

    pub(super) fn redact(&mut self, names: &[String], replace: &mut dyn FnMut(&str, &str) -> String) {
        self.fields.redact(names, replace);
    }

    /// Accounted bytes on the heap.
    pub(crate) fn held(&self) -> usize {
        self.fields.held()
    }
}

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

    /// Which names may come more than once: more than do, never fewer.
    ///
    /// Comparing every name with every other was a tenth of writing a message of ten fields, and grew with their square.
    pub(super) fn repeats(&self) -> Repeats {
        let mut repeats = Repeats::default();
        self.lines().for_each(|(name, _)| repeats.note(name));
        repeats
    }

    fn before(&self) -> &[u8] {
        &self.text[..self.start as usize]
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.start = 0;
        self.ends.clear();
    }

    fn extend<C: Copying>(&mut self, fields: &[Field<'_>]) {
        for field in fields {
            C::name(&mut self.text, field.name);
            let name = self.text.len() as u32;
            C::value(&mut self.text, field.value);
            self.ends.push((name, self.text.len() as u32));
        }
    }

    /// Whether the text has no folds and is UTF-8 in each of its pieces; `within` is one more place at which pieces meet.
    fn is_plain(&self, within: u32) -> bool {
        let meets = |at: u32| self.text.get(at as usize).is_none_or(|&byte| byte & 0xc0 != 0x80);
        let utf8 = || {
            simdutf8::basic::from_utf8(&self.text).is_ok()
                && meets(within)
                && meets(self.start)
                && self.ends.iter().all(|&(name, value)| meets(name) && meets(value))
        };
        // One pass for both, which the compiler does sixteen bytes at a time.
        let odd = self.text.iter().fold(0, |odd, &byte| odd | byte & 0x80 | u8::from(byte == b'\n'));
        odd == 0 || (memchr::memchr(b'\n', &self.text).is_none() && utf8())
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

    /// Accounted bytes on the heap, by what is used.
    pub(crate) fn held(&self) -> usize {
        self.text.len() + self.ends.len() * size_of::<(u32, u32)>()
    }
}

/// Two Bloom filters of 1024 bits: names that came, and names that came again.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    once: [u64; 16],
    again: [u64; 16],
}

impl Repeats {
    fn note(&mut self, name: &[u8]) {
        let (word, bit) = Self::place(name);
        self.again[word] |= self.once[word] & bit;
        self.once[word] |= bit;
    }

    pub(super) fn may_have(&self, name: &[u8]) -> bool {
        let (word, bit) = Self::place(name);
        self.again[word] & bit != 0
    }

    /// By both ends of the name, which together are nearly always all of it.
    fn place(name: &[u8]) -> (usize, u64) {
        let ends = match (name.first_chunk(), name.last_chunk()) {
            (Some(first), Some(last)) => [u64::from_le_bytes(*first), u64::from_le_bytes(*last)],
            _ => [name.iter().fold(0, |all, &byte| all << 8 | u64::from(byte)), 0],
        };
        // Two odd numbers without pattern: digits of π, as in `Config::hash_key`.
        let mixed = ends[0].wrapping_mul(0x243f_6a88_85a3_08d3) ^ ends[1].wrapping_mul(0x1319_8a2e_0370_7345);
        ((mixed >> 60) as usize, 1 << (mixed >> 54 & 63))
    }
}

/// Text that was checked when it came in.
pub(super) fn checked(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("checked when it was copied, and pieces end at character boundaries")
}

/// How the pieces of a head are copied.
trait Copying {
    /// In lower case.
    fn name(to: &mut Vec<u8>, bytes: &[u8]);
    fn text(to: &mut Vec<u8>, bytes: &[u8]);
    fn value(to: &mut Vec<u8>, bytes: &[u8]);
}

/// As they are: to be looked at afterwards.
struct Plain;

impl Copying for Plain {
    /// Eight bytes at once: nearly all names have 4 to 20, of which `make_ascii_lowercase` takes one after the other.
    #[inline(always)]
    fn name(to: &mut Vec<u8>, bytes: &[u8]) {
        let start = to.len();
        to.extend_from_slice(bytes);
        let copy = &mut to[start..];
        let Some(last) = bytes.last_chunk() else { return copy.make_ascii_lowercase() };
        for (to, eight) in copy.as_chunks_mut().0.iter_mut().zip(bytes.as_chunks().0) {
            *to = lowercase(*eight);
        }
        // Of which some may have been among those before.
        let at = copy.len() - last.len();
        copy[at..].copy_from_slice(&lowercase(*last));
    }

    #[inline(always)]
    fn text(to: &mut Vec<u8>, bytes: &[u8]) {
        to.extend_from_slice(bytes);
    }

    #[inline(always)]
    fn value(to: &mut Vec<u8>, bytes: &[u8]) {
        to.extend_from_slice(bytes);
    }
}

/// Piece by piece as text, without folds.
struct Careful;

/// Of each byte, the high bit becomes "at least A and not beyond Z".
fn lowercase(eight: [u8; 8]) -> [u8; 8] {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    let bytes = u64::from_le_bytes(eight);
    let low = bytes & (0x7f * EACH);
    let letters = (low + (0x80 - b'A' as u64) * EACH) & !(low + (0x7f - b'Z' as u64) * EACH) & !bytes & (0x80 * EACH);
    (bytes | letters >> 2).to_le_bytes()
}

impl Copying for Careful {
    fn name(to: &mut Vec<u8>, bytes: &[u8]) {
        let start = to.len();
        push_text(to, bytes);
        to[start..].make_ascii_lowercase();
    }

    fn text(to: &mut Vec<u8>, bytes: &[u8]) {
        push_text(to, bytes);
    }

    /// Each fold becomes a space, as RFC 9112 §5.2 has it for who does not refuse it.
    fn value(to: &mut Vec<u8>, bytes: &[u8]) {
        let start = to.len();
        push_text(to, bytes);
        let folded = to.split_off(start);
        for (line, part) in folded.split(|&byte| byte == b'\n').enumerate() {
            let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
            let begin = if line > 0 { part.iter().take_while(|byte| blank(byte)).count() } else { 0 };
            if line > 0 {
                let end =
                    to[start..].iter().rposition(|byte| !blank(byte) && *byte != b'\r').map_or(0, |last| last + 1);
                to.truncate(start + end);
                to.push(b' ');
            }
            to.extend_from_slice(&part[begin..]);
        }
    }
}

/// Bytes as text: UTF-8, or else Latin-1, in which every byte is a character.
fn push_text(text: &mut Vec<u8>, bytes: &[u8]) {
    match str::from_utf8(bytes) {
        Ok(utf8) => text.extend_from_slice(utf8.as_bytes()),
        Err(_) => {
            let latin: String = bytes.iter().map(|&byte| char::from(byte)).collect();
            text.extend_from_slice(latin.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_lower_case_whatever_their_length() {
        for byte in 0..=u8::MAX {
            for len in 0..=25 {
                // Each place has the byte with other ones around it.
                for place in 0..len {
                    let mut name = b"-Zz@[`{Aa\x7f\x80_9".repeat(2)[..len].to_vec();
                    name[place] = byte;
                    let mut copied = b"before".to_vec();
                    Plain::name(&mut copied, &name);
                    assert_eq!(copied, [b"before", &name.to_ascii_lowercase()[..]].concat(), "{}", name.escape_ascii());
                }
            }
        }
    }
}
