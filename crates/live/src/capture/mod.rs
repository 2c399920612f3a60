//! From libpcap to batches of packets.
//!
//! It never decodes a packet. Next: [`reader`], the thread; [`filter`], the kernel's filter.

pub(crate) mod batch;
pub(crate) mod counters;
pub(crate) mod filter;
pub(crate) mod interfaces;
pub(crate) mod quiet;
pub(crate) mod reader;

use std::time::Duration;

use pcap::{Active, Capture, Linktype};
use sniffer_packet::frame::LinkType;

use crate::config::LiveConfig;
use crate::error::StartError;
use filter::CaptureFilter;

/// How long the kernel may hold packets back to hand over many at once. A message has to come out
/// within 50 ms of its last packet. Immediate mode costs far more CPU and loses packets sooner.
/// hot: see NOTES#immediate-mode
pub(crate) const TIMEOUT: Duration = Duration::from_millis(10);

/// An open capture.
pub(crate) struct Opened {
    pub(crate) handle: Capture<Active>,
    pub(crate) link: LinkType,
    pub(crate) filter: CaptureFilter,
    pub(crate) loopback: bool,
}

/// Opens the configured interface with its filter.
pub(crate) fn open(config: &LiveConfig) -> Result<Opened, StartError> {
    let name = &config.interface;
    let failed = |error: pcap::Error| StartError::CaptureOpenFailed { message: words(&error) };
    let known = interfaces::interfaces().map_err(|message| StartError::CaptureOpenFailed { message })?;
    let Some(interface) = known.iter().find(|interface| interface.name == *name) else {
        let known = known.into_iter().map(|interface| interface.name).collect();
        return Err(StartError::InterfaceNotFound { name: name.clone(), known });
    };
    let handle = Capture::from_device(name.as_str())
        .map_err(failed)?
        .promisc(config.promiscuous)
        .snaplen(config.snaplen)
        .buffer_size(config.buffer_size)
        .immediate_mode(false)
        .timeout(i32::try_from(TIMEOUT.as_millis()).unwrap_or(10))
        .open()
        .map_err(failed)?;
    let mut handle = handle.setnonblock().map_err(failed)?;
    let link = link_type(handle.get_datalink());
    let filter = filter::filter(&config.ports, link);
    handle.filter(&filter.expression, true).map_err(|error| StartError::CaptureOpenFailed {
        message: format!("libpcap rejects the filter \"{}\": {}", filter.expression, words(&error)),
    })?;
    Ok(Opened { handle, link, filter, loopback: interface.loopback })
}

/// Returns a link type as files number it. libpcap's own numbers differ by system.
fn link_type(libpcap: Linktype) -> LinkType {
    match libpcap {
        // DLT_RAW: 12 nearly everywhere, 14 on OpenBSD.
        Linktype(12 | 14) => LinkType::RAW,
        Linktype(number) => LinkType(u16::try_from(number).unwrap_or(u16::MAX)),
    }
}

/// Returns libpcap's exact words, without the prefix that the binding adds.
pub(crate) fn words(error: &pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(words) => words.clone(),
        other => other.to_string(),
    }
}
