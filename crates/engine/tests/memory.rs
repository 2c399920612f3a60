//! Floods against a small memory budget, with every allocation counted: what is resident stays within twice what may be
//! accounted for (policy 21), an idle connection costs what it is said to, and the honest exchange behind each flood
//! comes out.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use sniffer_engine::config::Config;
use sniffer_engine::extract::Extractor;
use sniffer_engine::ledger::Ledger;
use sniffer_engine::message::Message;
use sniffer_packet::key::FlowKey;
use sniffer_testkit::flood::{ALL, Flood, FloodRow, HONEST};

/// The system's allocator, counting what each thread holds; tests run side by side.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let held = HELD.get() + bytes;
    HELD.set(held);
    CALLS.set(CALLS.get() + 1);
    PEAK.set(PEAK.get().max(held));
}

// SAFETY: every call is handed on to the system's allocator as it came; counting touches nothing but two thread-local cells
// that need no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const BUDGET: usize = 4 << 20;

/// The budget; what may be added between two looks at it; and what one full waiting room becomes when its hole is filled with
/// requests of 18 bytes that wait for answers.
const ACCOUNTED_MAX: usize = BUDGET + BUDGET / 16 + 2 * BUDGET / 16;

/// Calls of the allocator a frame, at most: what stands for work that does not depend on how much is held. A message in one
/// frame makes about 30.
const CALLS_MAX: u64 = 40;

/// What one flood came to.
struct Came {
    ledger: Ledger,
    /// Most bytes on the heap at once, messages given out aside.
    peak: usize,
    /// The same while the capture ended, and everything that was open was given.
    peak_at_the_end: usize,
    /// Bytes on the heap after the last frame.
    left: usize,
    accounted: usize,
    /// Calls of the allocator, a frame.
    calls: u64,
    honest: Vec<Message>,
}

fn run(&(_, flood): &FloodRow, n: u32, config: Config) -> Came {
    let before = HELD.get();
    let mut extractor = Extractor::new(config);
    let mut honest = Vec::new();
    let (mut accounted, mut frames, calls) = (0, 0, CALLS.get());
    PEAK.set(before);
    let mut send = |frame: &sniffer_packet::frame::Frame<'_>| {
        frames = frame.number;
        extractor.push(frame, &mut |message| {
            if message.target() == Some(HONEST) || message.status() == Some(200) {
                honest.push(message.clone());
            }
        });
        accounted = accounted.max(extractor.held());
    };
    let mut sender = Flood::new(&mut send);
    flood(&mut sender, n);
    sender.honest_exchange();
    drop(sender);
    let (peak, left) = ((PEAK.get() - before) as usize, (HELD.get() - before) as usize);
    let calls = (CALLS.get() - calls) / frames;
    PEAK.set(HELD.get());
    extractor.finish(&mut |_| {});
    let peak_at_the_end = (PEAK.get() - before) as usize;
    Came { ledger: extractor.ledger().clone(), peak, peak_at_the_end, left, accounted, calls, honest }
}

fn small() -> Config {
    let mut config = Config::default();
    config.limits.held_bytes_max = BUDGET;
    config.limits.waiting_bytes_max = BUDGET / 16;
    config.limits.defrag.held_bytes_max = BUDGET / 32;
    config
}

#[test]
fn no_flood_is_resident_beyond_twice_the_budget_and_each_leaves_the_honest_exchange() {
    let mut wrong = Vec::new();
    for row in ALL {
        let n = match row.0 {
            "conflicting-copies" => 200,
            "open-gzip" => 4_000,
            _ => 15_000,
        };
        let came = run(row, n, small());
        let paths: Vec<_> = came.honest.iter().map(|m| (m.target(), m.status(), m.incomplete)).collect();
        let comes_out = paths == [(Some(HONEST), None, None), (None, Some(200), None)];
        let Came { peak, peak_at_the_end, left, accounted, calls, ledger, .. } = came;
        if peak.max(peak_at_the_end) > 2 * BUDGET || !comes_out || accounted > ACCOUNTED_MAX || calls > CALLS_MAX {
            wrong.push(format!(
                "{}: peak {peak}, at the end {peak_at_the_end}, left {left}, accounted {accounted}, {calls} calls, {paths:?}",
                row.0
            ));
        }
        assert_eq!(ledger.balance(), 0, "{}: every byte has one fate", row.0);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_idle_connection_costs_at_most_480_bytes_beyond_its_key() {
    let half_open = ALL.iter().find(|(name, _)| *name == "half-open").unwrap();
    // At any number of connections, not only where tables are just full.
    for n in [10_000, 15_000, 29_000, 33_000] {
        let came = run(half_open, n, Config::default());
        let each = came.peak / n as usize;
        assert!(each <= 480 + size_of::<FlowKey>(), "{each} bytes a connection, of {n}");
    }
}
