//! A head as text: what a message keeps of its start line and fields, in two pieces of memory however many there are.
//!
//! Knows nothing of JSON. Next: [`super::fields`], then [`super::shape`].

use super::copying::{Careful, Copying, Plain};
use super::fields::Fields;
use crate::event::{Head, StartLine, Version};

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
    #[inline(always)]
    pub(crate) fn set(&mut self, head: &Head<'_>) {
        self.version = head.version;
        self.set_as::<Plain>(head);
        // Checked in one go: field by field it cost a tenth of the whole replay.
        if !self.fields.is_plain(self.method_len()) {
            self.set_carefully(head);
        }
    }

    #[cold]
    fn set_carefully(&mut self, head: &Head<'_>) {
        self.set_as::<Careful>(head);
    }

    #[inline(always)]
    fn set_as<C: Copying>(&mut self, head: &Head<'_>) {
        self.fields.clear();
        self.kind = match head.start {
            StartLine::Request { method, target } => {
                let method_len = self.fields.extend_before::<C>(method);
                self.fields.extend_before::<C>(target);
                Kind::Request { method_len }
            }
            StartLine::Response { status, reason } => {
                self.fields.extend_before::<C>(reason);
                Kind::Response { status }
            }
        };
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

    /// Bytes of its memory, used or not.
    pub(crate) const fn capacity(&self) -> usize {
        self.fields.capacity()
    }
}

/// Text that was checked when it came in.
pub(super) fn checked(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("checked when it was copied, and pieces end at character boundaries")
}
