//! The capture thread: takes packets from the kernel and puts them into the ring. It never logs, never waits for a
//! downstream part for longer than [`PATIENCE`], and owns the handle.
//!
//! The handle does not block: the thread sleeps in `poll` until the kernel has a block of packets (at the latest
//! [`super::TIMEOUT`] after the first of them) or somebody stops it.

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
use crate::stop::Stop;

/// Batches between the two threads; a batch has 128 KiB, and with the largest packets up to 1.1 MiB. The buffer that counts
/// is the kernel's.
pub(crate) const RING: usize = 32;

/// How long a full ring is waited for: meanwhile the kernel's buffer takes what comes. After that the batch is dropped.
const PATIENCE: Duration = Duration::from_millis(250);

/// Packets in one call of libpcap: bounds how far a batch of large packets (64 KiB with segmentation offload) overshoots.
const DISPATCH: usize = 16;

/// Longest sleep: how often drop counters are read and a quiet link is reported.
const REST: Duration = Duration::from_millis(500);

/// How long the kernel's buffer is emptied after a stop at most; longer only where packets keep coming whose times do not
/// grow, because the clock was set back.
const EMPTYING: Duration = Duration::from_secs(1);

/// The thread's state.
pub(crate) struct CaptureReader {
    pub(crate) handle: Capture<Active>,
    pub(crate) ring: Sender<PacketBatch>,
    /// Batches that were used up, for their memory.
    pub(crate) spare: Receiver<PacketBatch>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) stop: Arc<Stop>,
}

/// Why it ended by itself: libpcap's words.
pub(crate) type Failure = String;

impl CaptureReader {
    /// Runs until it is stopped or the capture fails. Dropping the ring's end tells the engine thread.
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
            // While libpcap has packets of a block that it took, the kernel does not say so.
            if empty {
                // What the kernel holds back is handed over after the time-out, stopped or not.
                self.sleep(if stopping.is_some() { TIMEOUT } else { REST }, stopping.is_none());
            }
            let began = Instant::now();
            let mut last = None;
            empty = loop {
                let read = self.handle.dispatch(Some(DISPATCH), |packet| {
                    let header = packet.header;
                    let seconds = u64::try_from(header.ts.tv_sec).unwrap_or(0);
                    let micros = u64::try_from(header.ts.tv_usec).unwrap_or(0);
                    let time = Timestamp::new(seconds, micros * 1_000);
                    last = Some(time);
                    // No new packets once it is stopped: later ones are left.
                    if stopping.is_none_or(|stop| time <= stop.wall) {
                        batch.push(CapturedPacket { time, captured: header.caplen, wire_len: header.len }, packet.data);
                    }
                });
                match read {
                    Ok(0) => break true,
                    Ok(_) if batch.is_full() || stopping.is_some() => break false,
                    Ok(_) => {}
                    Err(error) => {
                        self.send(&mut batch);
                        return Err(words(&error));
                    }
                }
            };
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

    /// Until there are packets, somebody stops us, or this long.
    fn sleep(&self, rest: Duration, heeds_stop: bool) {
        let Ok(timeout) = Timespec::try_from(rest) else { return };
        let handle = self.handle.as_fd();
        let mut fds = [PollFd::from_borrowed_fd(handle, PollFlags::IN), PollFd::new(self.stop.waker(), PollFlags::IN)];
        // Once it is known, the stop would end every sleep at once.
        let watched = if heeds_stop { &mut fds[..] } else { &mut fds[..1] };
        // An interrupted or failed poll is a short sleep: the next read tells what is wrong.
        let _ = poll(watched, Some(&timeout));
    }

    /// Hands a batch on, unless there is nothing to tell.
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
        // An interface that is gone has no counters any more; what was read before stays.
        let Ok(now) = handle.stats() else { return };
        counters.lost(now.dropped.wrapping_sub(self.kernel), now.if_dropped.wrapping_sub(self.interface));
        *self = Self { kernel: now.dropped, interface: now.if_dropped };
    }
}
