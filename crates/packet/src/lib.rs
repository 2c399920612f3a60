//! One captured frame to TCP segments: link layers, tunnels, IP and its fragments, without I/O, clock or threads.
//!
//! It knows no connection and no protocol above TCP. Next: [`intake`], which drives the rest.
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
