//! Writes values of a few bytes: numbers, words, addresses, times. They share one request for room
//! with their key.
//!
//! Written by hand: a copy of unknown length is a call, and so is formatting a number with the
//! standard library (hot: see NOTES#small).

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use sniffer_packet::key::Endpoint;
use sniffer_packet::time::{Rfc3339, eight_digits};

use crate::message::shape::{Millis, Value};

/// Writes a small value. Returns the length written: 0 for a value that may be large.
#[inline(always)]
pub(super) fn small(value: Value<'_>, room: &mut [u8]) -> usize {
    match value {
        Value::Time(time) => quoted(room, |room| {
            let room = room.first_chunk_mut::<{ Rfc3339::LEN_MAX }>().expect("room was asked for");
            time.write(room)
        }),
        Value::Text(text) => quoted(room, |room| copy(text.as_bytes(), room)),
        Value::Id(id) => quoted(room, |room| {
            room[..16].copy_from_slice(&id.digits());
            16
        }),
        Value::Number(number) => write_number(number, room),
        Value::Millis(nanos) => match Millis::of(nanos) {
            Millis::Whole(millis) => write_number(millis, room),
            // serde_json uses the same crate.
            Millis::Part(millis) => copy(zmij::Buffer::new().format(millis).as_bytes(), room),
        },
        Value::True => copy(b"true", room),
        Value::Endpoint(endpoint) => write_endpoint(endpoint, room),
        Value::Utf8(_) | Value::Base64(_) | Value::Fields(_) | Value::Anomalies(_) | Value::Numbers(_) => 0,
    }
}

/// Writes a string that needs no escape.
#[inline(always)]
fn quoted(room: &mut [u8], write: impl FnOnce(&mut [u8]) -> usize) -> usize {
    room[0] = b'"';
    let end = 1 + write(&mut room[1..]);
    room[end] = b'"';
    end + 1
}

/// Copies a word as its two ends, which may overlap.
#[inline(always)]
fn copy(word: &[u8], room: &mut [u8]) -> usize {
    let room = &mut room[..word.len()];
    if word.len() > 16 || !(copy_ends::<8>(word, room) || copy_ends::<4>(word, room) || copy_ends::<2>(word, room)) {
        room.copy_from_slice(word);
    }
    word.len()
}

/// Copies the first and the last `N` bytes. Returns false if there are fewer than `N`.
#[inline(always)]
fn copy_ends<const N: usize>(word: &[u8], room: &mut [u8]) -> bool {
    let (Some(first), Some(last)) = (word.first_chunk::<N>(), word.last_chunk::<N>()) else { return false };
    room[..N].copy_from_slice(first);
    room[word.len() - N..].copy_from_slice(last);
    true
}

fn write_endpoint(endpoint: &Endpoint, room: &mut [u8]) -> usize {
    let mut at = copy(b"{\"ip\":\"", room);
    at += match endpoint.ip {
        IpAddr::V4(ip) => write_ipv4(ip, &mut room[at..]),
        IpAddr::V6(ip) => {
            let space = room.len() - at;
            let mut rest = &mut room[at..];
            write!(rest, "{ip}").expect("room was asked for");
            space - rest.len()
        }
    };
    at += copy(b"\",\"port\":", &mut room[at..]);
    at += write_number(endpoint.port.into(), &mut room[at..]);
    room[at] = b'}';
    at + 1
}

fn write_ipv4(ip: Ipv4Addr, room: &mut [u8]) -> usize {
    let mut at = 0;
    for octet in ip.octets() {
        let [text @ .., length] = OCTETS[usize::from(octet)];
        room[at..at + 3].copy_from_slice(&text);
        room[at + usize::from(length)] = b'.';
        at += usize::from(length) + 1;
    }
    at - 1
}

/// The digits of each octet, and how many they are.
static OCTETS: [[u8; 4]; 256] = {
    let mut table = [[0; 4]; 256];
    let mut octet = 0;
    while octet < 256 {
        let digits = [b'0' + (octet / 100) as u8, b'0' + (octet / 10 % 10) as u8, b'0' + (octet % 10) as u8];
        table[octet] = match octet {
            0..10 => [digits[2], 0, 0, 1],
            10..100 => [digits[1], digits[2], 0, 2],
            _ => [digits[0], digits[1], digits[2], 3],
        };
        octet += 1;
    }
    table
};

/// Writes a number in decimal. Returns the number of digits. `room` must hold 20.
#[inline(always)]
pub(super) fn write_number(number: u64, room: &mut [u8]) -> usize {
    match u32::try_from(number) {
        Ok(low @ ..10_000) => write_low(low, room),
        _ => write_high(number, room),
    }
}

/// Writes a number of at most four digits, without branches.
#[inline(always)]
fn write_low(number: u32, room: &mut [u8]) -> usize {
    let digits = u32::from_le_bytes(four_digits(number));
    // Skips leading zeroes, but never the last digit.
    let zeroes = ((digits ^ u32::from_le_bytes(*b"0000")).trailing_zeros() / 8).min(3);
    room[..4].copy_from_slice(&(digits >> (8 * zeroes)).to_le_bytes());
    4 - zeroes as usize
}

#[inline(never)]
fn write_high(number: u64, room: &mut [u8]) -> usize {
    let at = write_number(number / 10_000, room);
    room[at..at + 4].copy_from_slice(&four_digits((number % 10_000) as u32));
    at + 4
}

/// Returns the digits of a number below 10 000.
#[inline(always)]
const fn four_digits(number: u32) -> [u8; 4] {
    let [digits @ .., _, _, _, _] = eight_digits([number / 100, number % 100, 0, 0]);
    digits
}
