//! Captures in, frames out: what `sniffer_replay::source` promises, seen from outside.
//!
//! Every file is laid byte by byte in the test ([`bytes`]), never by the code under test, and every one is read whole,
//! a byte at a time and in uneven pieces ([`check`]). Next: [`pcap`] and [`pcapng`] for what is read, [`damage`] for what is
//! not, [`random`] for what nobody thought of.

#[cfg(test)]
mod bytes;
#[cfg(test)]
mod check;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod packed;
#[cfg(test)]
mod pcap;
#[cfg(test)]
mod pcapng;
#[cfg(test)]
mod random;
#[cfg(test)]
mod streaming;
#[cfg(test)]
mod timeline;
