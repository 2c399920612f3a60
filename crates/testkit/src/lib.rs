//! The test kit: conversations as text, a frame builder, a seeded bad network, generated
//! conversations.
//!
//! The tests of all crates use it, and so do `sniffer talk` and `sniffer perturb`. It never reads a
//! file, a clock or a random source: the same text and the same seed give the same bytes
//! everywhere. It uses neither [`sniffer_packet::decode`] nor a later stage, so a mistake there
//! cannot hide in the frames that test it.
//!
//! Read first: [`talk`], whose marks are described in `corpus/TALK.md`.

pub mod flood;
pub mod generate;
pub mod net;
pub mod rng;
pub mod talk;
pub mod wire;
