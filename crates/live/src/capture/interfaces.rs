//! The interfaces of this machine, and why one cannot be captured on.

use std::net::IpAddr;

use pcap::{Capture, Device};

/// A network interface, as libpcap names it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Interface {
    /// Name, as the option `interface` takes it.
    pub name: String,
    /// libpcap's description, if it has one.
    pub description: Option<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// True for a loopback interface.
    pub loopback: bool,
    /// True if it is up.
    pub up: bool,
}

impl Interface {
    /// Tries to capture on it.
    ///
    /// # Errors
    /// It cannot be captured on: libpcap's words.
    pub fn probe(&self) -> Result<(), String> {
        let opened = Capture::from_device(self.name.as_str()).and_then(Capture::open);
        opened.map(drop).map_err(|error| super::words(&error))
    }
}

/// Lists the interfaces.
///
/// # Errors
/// They cannot be listed: libpcap's words.
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
