//! What can be captured on, and why not.

use std::net::IpAddr;

use pcap::{Capture, Device};

/// A network interface, as libpcap names it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Interface {
    /// What to give as `interface`.
    pub name: String,
    /// libpcap's words for it, when it has some.
    pub description: Option<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether it is a loopback interface.
    pub loopback: bool,
    /// Whether it is up.
    pub up: bool,
}

impl Interface {
    /// Tries to capture on it; libpcap's words when that does not work.
    ///
    /// # Errors
    /// It cannot be captured on.
    pub fn probe(&self) -> Result<(), String> {
        let opened = Capture::from_device(self.name.as_str()).and_then(Capture::open);
        opened.map(drop).map_err(|error| super::words(&error))
    }
}

/// The interfaces there are.
///
/// # Errors
/// libpcap's words when it cannot tell.
pub fn interfaces() -> Result<Vec<Interface>, String> {
    let devices = Device::list().map_err(|error| super::words(&error))?;
    Ok(devices.into_iter().map(interface).collect())
}

fn interface(device: Device) -> Interface {
    Interface {
        loopback: device.flags.is_loopback(),
        up: device.flags.is_up(),
        addresses: device.addresses.iter().map(|address| address.addr).collect(),
        description: device.desc,
        name: device.name,
    }
}
