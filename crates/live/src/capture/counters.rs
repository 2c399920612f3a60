//! The counters of the capture thread, which other threads may read at any time.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals of a run.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    received: AtomicU64,
    kernel_drops: AtomicU64,
    interface_drops: AtomicU64,
    ring_drops: AtomicU64,
}

/// The counts, in packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Captured {
    /// Packets taken from the kernel.
    pub received: u64,
    /// Packets lost because the kernel's buffer was full.
    pub kernel_drops: u64,
    /// Packets lost by the interface or its driver.
    pub interface_drops: u64,
    /// Packets dropped because the engine was too slow. They count as `received` too.
    pub ring_drops: u64,
}

impl Counters {
    pub(super) fn received(&self, packets: usize) {
        self.received.fetch_add(packets as u64, Ordering::Relaxed);
    }

    pub(super) fn ring_dropped(&self, packets: usize) {
        self.ring_drops.fetch_add(packets as u64, Ordering::Relaxed);
    }

    pub(super) fn lost(&self, kernel: u32, interface: u32) {
        self.kernel_drops.fetch_add(kernel.into(), Ordering::Relaxed);
        self.interface_drops.fetch_add(interface.into(), Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Captured {
        Captured {
            received: self.received.load(Ordering::Relaxed),
            kernel_drops: self.kernel_drops.load(Ordering::Relaxed),
            interface_drops: self.interface_drops.load(Ordering::Relaxed),
            ring_drops: self.ring_drops.load(Ordering::Relaxed),
        }
    }
}
