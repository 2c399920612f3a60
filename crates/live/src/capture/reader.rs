//! The capture thread: takes packets from the kernel and puts them into the ring. It owns the handle,
//! never logs, and never waits for the engine longer than [`PATIENCE`].
//!
//! The handle does not block: the thread sleeps in `poll` until the kernel has a block of packets (at
//! the latest [`super::TIMEOUT`] after the first of them) or until it is stopped.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, SendTimeoutError, Sender};
use pcap::{Active, Capture};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sniffer_packet::time::Timestamp;

use super::batch::{CapturedPacket, PacketBatch};
use super::counters::Counters;
use super::quiet::Quiet;
use super::{TIMEOUT, words};
use crate::stop::{Stop, StopRequest};

/// Batches between the two threads. A batch has 128 KiB, with the largest packets up to 1.1 MiB. The
/// kernel's buffer is the larger one.
pub(crate) const RING: usize = 32;

/// How long the thread waits for a full ring, while the kernel's buffer takes new packets. After that
/// the batch is dropped.
const PATIENCE: Duration = Duration::from_millis(250);

/// Packets in one call of libpcap. Bounds by how much a batch of large packets (64 KiB with
/// segmentation offload) exceeds its size.
const DISPATCH: usize = 16;

/// Longest sleep: how often drop counters are read and a quiet link is reported.
const REST: Duration = Duration::from_millis(500);

/// How long the kernel's buffer is emptied after a stop, at most. The limit matters only if packets
/// keep coming whose times do not grow, because the clock was set back.
const EMPTYING: Duration = Duration::from_secs(1);

/// The state of the capture thread.
pub(crate) struct CaptureReader {
    pub(crate) handle: Capture<Active>,
    pub(crate) ring: Sender<PacketBatch>,
    /// Used batches, for their memory.
    pub(crate) spare: Receiver<PacketBatch>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) stop: Arc<Stop>,
}

/// Why the capture failed: libpcap's words.
pub(crate) type Failure = String;

impl CaptureReader {
    /// Runs until it is stopped or the capture fails. The engine thread ends when the ring is dropped.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        let mut quiet = Quiet::default();
        let mut losses = Losses::default();
        let result = self.read(&mut quiet, &mut losses);
        losses.read(&mut self.handle, &self.counters);
        result
    }

    fn read(&mut self, quiet: &mut Quiet, losses: &mut Losses) -> Result<(), Failure> {
        let mut batch = PacketBatch::default();
        let mut looked = Instant::now();
        let mut empty = true;
        loop {
            let stopping = self.stop.requested();
            // `poll` knows only the packets in the kernel. libpcap may still have packets of a block.
            if empty {
                // The kernel hands over what it holds back after the time-out, stopped or not.
                self.sleep(if stopping.is_some() { TIMEOUT } else { REST }, stopping.is_none());
            }
            let began = Instant::now();
            let (last, nothing_left) = self.fill(&mut batch, stopping)?;
            empty = nothing_left;
            match last {
                Some(time) => quiet.packet(time, began),
                None => batch.quiet_until = quiet.until(began, TIMEOUT),
            }
            self.send(&mut batch);
            if let Some(stop) = stopping {
                let since = stop.at.elapsed();
                let emptied = empty && since >= 3 * TIMEOUT;
                if emptied || last.is_some_and(|time| time > stop.wall) || since >= EMPTYING {
                    return Ok(());
                }
            }
            if looked.elapsed() >= REST {
                losses.read(&mut self.handle, &self.counters);
                looked = Instant::now();
            }
        }
    }

    /// Fills a batch with packets. Returns the time of the last packet, and whether libpcap has no more.
    /// After a stop, packets that are later than the stop are left out.
    fn fill(
        &mut self,
        batch: &mut PacketBatch,
        stopping: Option<StopRequest>,
    ) -> Result<(Option<Timestamp>, bool), Failure> {
        let mut last = None;
        loop {
            let read = self.handle.dispatch(Some(DISPATCH), |packet| {
                let header = packet.header;
                let seconds = u64::try_from(header.ts.tv_sec).unwrap_or(0);
                let micros = u64::try_from(header.ts.tv_usec).unwrap_or(0);
                let time = Timestamp::new(seconds, micros * 1_000);
                last = Some(time);
                if stopping.is_none_or(|stop| time <= stop.wall) {
                    batch.push(CapturedPacket { time, captured: header.caplen, wire_len: header.len }, packet.data);
                }
            });
            match read {
                Ok(0) => return Ok((last, true)),
                Ok(_) if batch.is_full() || stopping.is_some() => return Ok((last, false)),
                Ok(_) => {}
                Err(error) => {
                    self.send(batch);
                    return Err(words(&error));
                }
            }
        }
    }

    /// Sleeps for `rest`, or until there are packets or a stop.
    fn sleep(&self, rest: Duration, heeds_stop: bool) {
        let Ok(timeout) = Timespec::try_from(rest) else { return };
        let handle = self.handle.as_fd();
        let mut fds = [PollFd::from_borrowed_fd(handle, PollFlags::IN), PollFd::new(self.stop.waker(), PollFlags::IN)];
        // A stop that is already known would end every sleep at once.
        let watched = if heeds_stop { &mut fds[..] } else { &mut fds[..1] };
        // An interrupted or failed poll is a short sleep: the next read reports what is wrong.
        let _ = poll(watched, Some(&timeout));
    }

    /// Hands a batch on, unless it is empty and carries no time.
    fn send(&mut self, batch: &mut PacketBatch) {
        if batch.is_empty() && batch.quiet_until.is_none() {
            return;
        }
        let next = self.spare.try_recv().unwrap_or_default();
        let full = std::mem::replace(batch, next);
        self.counters.received(full.len());
        if let Err(SendTimeoutError::Timeout(full) | SendTimeoutError::Disconnected(full)) =
            self.ring.send_timeout(full, PATIENCE)
        {
            self.counters.ring_dropped(full.len());
        }
    }
}

/// libpcap's drop counters, which wrap at 32 bits.
#[derive(Debug, Default)]
struct Losses {
    kernel: u32,
    interface: u32,
}

impl Losses {
    fn read(&mut self, handle: &mut Capture<Active>, counters: &Counters) {
        // An interface that is gone has no counters any more. The counts read before stay.
        let Ok(now) = handle.stats() else { return };
        counters.lost(now.dropped.wrapping_sub(self.kernel), now.if_dropped.wrapping_sub(self.interface));
        *self = Self { kernel: now.dropped, interface: now.if_dropped };
    }
}
