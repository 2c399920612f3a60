//! Fields as an object of names and values.
//!
//! In most heads each name comes once: [`laid_out`] writes those in one go, with one request for room. Next: [`super::escape`], strings.

use fearless_simd::{Simd, dispatch};

use super::escape::{copy_clean, escape, room_for, shuffles};
use super::lines::Lines;
use crate::message::Fields;

impl Lines {
    pub(super) fn fields(&mut self, fields: &Fields) {
        let level = self.level;
        // Quotes, colon and comma of each line, and the braces.
        let room = room_for(fields.text_len()) + 6 * fields.len() + 2;
        if room > LAID_OUT_MAX || !shuffles(level) || fields.may_repeat() {
            return self.fields_with_care(fields);
        }
        self.with_room(room, |room| dispatch!(level, simd => laid_out(simd, fields, room)));
    }

    fn fields_with_care(&mut self, fields: &Fields) {
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

/// Room that is asked for without knowing that it is needed: more than nearly every head.
const LAID_OUT_MAX: usize = 32 << 10;

/// Writes fields of which no name comes twice, and says how long that is.
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
    // Where there are none, there was no comma to stand on.
    at = at.max(1);
    room[0] = b'{';
    room[at] = b'}';
    at + 1
}

/// Writes the first `length` bytes.
#[inline(always)]
fn text<S: Simd>(simd: S, run: &[u8], length: usize, room: &mut [u8]) -> usize {
    match copy_clean(simd, run, length, room) {
        true => length,
        false => escape(simd.level(), &run[..length], room),
    }
}
