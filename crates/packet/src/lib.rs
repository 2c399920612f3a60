//! Captured frames to TCP segments and UDP datagrams, without I/O, clock or threads.
//!
//! ```text
//! frame ──decode──▶ fragment ──defrag──▶ datagram ──decode──▶ segment
//!   └───────────────────decode──────────────────────────────▶ segment
//! ```
//!
//! It knows no connection and no protocol above TCP and UDP. Next: [`intake`], which drives the
//! rest.
#![forbid(unsafe_code)]

pub mod block;
pub mod clock;
pub mod datagram;
pub mod decode;
pub mod defrag;
pub mod fate;
pub mod file;
pub mod frame;
pub mod intake;
pub mod key;
pub mod segment;
pub mod seq;
pub mod time;
