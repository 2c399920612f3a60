//! Floods on several threads with a small memory budget, while every allocation is counted:
//! resident memory stays within twice the accounted limit plus the data in flight between threads.
//! This is the only test here, because the whole process is counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::IoSlice;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use sniffer_engine::config::Config;
use sniffer_engine::json::Lines;
use sniffer_engine::message::Message;
use sniffer_packet::file::pcap;
use sniffer_replay::source::Source;
use sniffer_replay::{ReplaySink, parallel};
use sniffer_testkit::flood;

/// The system's allocator, with a count.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grow(bytes: usize) {
    PEAK.fetch_max(HELD.fetch_add(bytes, Ordering::Relaxed) + bytes, Ordering::Relaxed);
}

// SAFETY: every call is forwarded unchanged to the system's allocator; counting touches only two
// atomics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's promise is forwarded.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is forwarded.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const BUDGET: usize = 4 << 20;

/// Data in flight: rounds of 1 MiB, pieces of 512 KiB, and what is kept for the next ones.
const ON_ITS_WAY: usize = 8 << 20;

/// Counts lines.
#[derive(Default)]
struct Count {
    lines: usize,
    bytes: usize,
}

impl ReplaySink for Count {
    fn message(&mut self, _message: &mut Message) {}

    fn lines(&mut self, lines: &mut [IoSlice<'_>]) {
        for lines in lines {
            self.lines += lines.iter().filter(|&&byte| byte == b'\n').count();
            self.bytes += lines.len();
        }
    }
}

#[test]
fn floods_on_several_threads_stay_within_the_memory_limit() {
    let mut config = Config::default();
    config.limits.held_bytes_max = BUDGET;
    config.limits.waiting_bytes_max = BUDGET / 16;
    for (name, n, bytes_least) in [
        ("open-gzip", 1_000, 60_000_000),
        ("pipelines-behind-holes", 8_000, 50_000_000),
        ("open-bodies", 8_000, 1_000_000),
        ("half-open", 15_000, 0),
    ] {
        let file = pcap::file(&flood::frames(name, n)).unwrap();
        let mut source = Source::from_reader(name, std::io::Cursor::new(file)).unwrap();
        let before = HELD.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let mut count = Count::default();
        let write = |message: &mut Message, lines: &mut Lines| lines.push(message);
        parallel::replay(&mut source, &config, NonZeroUsize::new(3).unwrap(), &write, &mut count).unwrap();
        let peak = PEAK.load(Ordering::Relaxed) - before;
        assert!(peak <= 2 * BUDGET + ON_ITS_WAY, "{name}: {peak} bytes");
        assert!(count.lines >= 2, "the honest exchange comes out");
        assert!(count.bytes >= bytes_least, "{name}: {} bytes of lines are no flood", count.bytes);
    }
}
