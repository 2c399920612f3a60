//! The floor: a loop over libpcap and nothing else. `bare INTERFACE SECONDS BUFFER_BYTES` counts
//! packets for that time and prints `received dropped`. For `benches/load.sh`.
#![expect(clippy::unwrap_used, reason = "a tool for a script; it fails by panicking")]

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let seconds = Duration::from_secs_f64(arguments[2].parse().unwrap());
    let handle = pcap::Capture::from_device(arguments[1].as_str()).unwrap();
    let handle = handle.promisc(false).snaplen(262_144).timeout(10).buffer_size(arguments[3].parse().unwrap());
    let mut handle = handle.open().unwrap().setnonblock().unwrap();
    handle.filter("tcp port 80", true).unwrap();
    eprintln!("ready");
    let (start, mut received, mut sum) = (Instant::now(), 0_u64, 0_u64);
    while start.elapsed() < seconds {
        let timeout = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        poll(&mut [PollFd::from_borrowed_fd(handle.as_fd(), PollFlags::IN)], Some(&timeout)).unwrap();
        while handle
            .dispatch(None, |packet| {
                received += 1;
                // Every packet is touched, as any program would.
                sum += u64::from(packet.data[0]);
            })
            .unwrap()
            > 0
        {}
    }
    assert!(sum > 0 || received == 0);
    println!("{received} {}", handle.stats().unwrap().dropped);
}
