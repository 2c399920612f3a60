//! Captures in, frames out: the promises of `sniffer_replay::source`, seen from outside.
//!
//! The tests build every file byte by byte ([`bytes`]), never with the code under test, and read
//! every file at once, a byte at a time, and in uneven pieces ([`check`]). Next: [`pcap`] and
//! [`pcapng`], files that are read; [`damage`], files that are not; [`random`], random files.

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
