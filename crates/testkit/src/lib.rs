//! What tests are made of: conversations as text, a frame builder, a seeded bad network, generated truth.
//!
//! For this crate's tests, for the other crates' and for the tools built on them (feature `testkit`). It never reads a
//! file, a clock or a random source: the same text and the same seed give the same bytes everywhere. It never uses
//! [`sniffer_packet::decode`] or anything behind it either, so a mistake there cannot hide in the frames it is tested with.
//!
//! Read first: [`talk`], whose every mark is described in `corpus/TALK.md`.

pub mod flood;
pub mod generate;
pub mod net;
pub mod rng;
pub mod talk;
pub mod wire;
