//! Frames as capture files: [`pcap`] for one link type, [`pcapng`] for any mix. Both return or append bytes only.

pub mod pcap;
pub mod pcapng;
