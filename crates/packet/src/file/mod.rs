//! Frames as capture files: [`pcap`] for one link type, [`pcapng`] for any mix.
//!
//! Both only return or append bytes.

pub mod pcap;
pub mod pcapng;
