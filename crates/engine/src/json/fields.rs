//! Writes fields as an object of names and values.
//!
//! In most heads each name occurs once: [`laid_out`] writes those in one go, with one request for
//! room. Next: [`super::escape`], strings.

use fearless_simd::{Simd, dispatch};

use super::escape::{copy_clean, escape, room_for, shuffles};
use super::lines::Lines;
use crate::message::Fields;

impl Lines {
    pub(super) fn fields(&mut self, fields: &Fields) {
        let level = self.level;
        // Plus the quotes, colon and comma of each line, and the braces.
        let room = room_for(fields.text_len()) + 6 * fields.len() + 2;
        if room > LAID_OUT_MAX || !shuffles(level) || fields.may_repeat() {
            return self.fields_one_by_one(fields);
        }
        self.with_room(room, |room| dispatch!(level, simd => laid_out(simd, fields, room)));
    }

    fn fields_one_by_one(&mut self, fields: &Fields) {
        let mut before = b'{';
        for (name, value, again) in fields.distinct() {
            self.raw(&[before]);
            before = b',';
            self.text(name);
            self.raw(b":");
            if again {
                let values = fields.lines().filter(|(other, _)| *other == name);
                self.list(values, |stage, (_, value)| stage.text(value));
            } else {
                self.text(value);
            }
        }
        self.raw(if fields.is_empty() { b"{}" } else { b"}" });
    }
}

/// Most room that [`laid_out`] may ask for: more than nearly every head needs.
const LAID_OUT_MAX: usize = 32 << 10;

/// Writes fields in which no name occurs twice. Returns the length written.
#[inline(always)]
fn laid_out<S: Simd>(simd: S, fields: &Fields, room: &mut [u8]) -> usize {
    let mut at = 0;
    for [(name_length, name), (value_length, value)] in fields.runs() {
        room[at..at + 2].copy_from_slice(b",\"");
        at += 2;
        at += text(simd, name, name_length, &mut room[at..]);
        room[at..at + 3].copy_from_slice(b"\":\"");
        at += 3;
        at += text(simd, value, value_length, &mut room[at..]);
        room[at] = b'"';
        at += 1;
    }
    // The opening brace replaces the first comma; without fields there was none.
    at = at.max(1);
    room[0] = b'{';
    room[at] = b'}';
    at + 1
}

/// Writes the first `length` bytes of `run`. Returns the length written.
#[inline(always)]
fn text<S: Simd>(simd: S, run: &[u8], length: usize, room: &mut [u8]) -> usize {
    match copy_clean(simd, run, length, room) {
        true => length,
        false => escape(simd.level(), &run[..length], room),
    }
}
