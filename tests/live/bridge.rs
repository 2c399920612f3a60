//! A bridge between two interfaces that loses, repeats and reorders frames, driven by a seed.
//!
//! netem does the same, but not every kernel has it; this needs only packet sockets. It is one
//! thread inside the namespace of its interfaces: `setns` acts on a thread.

use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;
use nix::libc::PACKET_OUTGOING;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recvfrom, send, socket,
};
use sniffer_testkit::rng::Rng;

use crate::net::Namespace;

/// The faults, as fractions of all frames.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Trouble {
    pub(crate) loss: f64,
    pub(crate) duplicates: f64,
    pub(crate) reordered: f64,
    pub(crate) seed: u64,
}

/// The tags of frames on one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tags {
    None,
    /// An 802.1Q tag.
    Vlan(u16),
}

/// The number of frames with each fault.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
}

pub(crate) struct Bridge {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Counts>>,
}

impl Bridge {
    pub(crate) fn between(
        inside: &Namespace,
        one: (&'static str, Tags),
        other: (&'static str, Tags),
        trouble: Trouble,
    ) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let (ready, is_ready) = std::sync::mpsc::channel();
        for (interface, _) in [one, other] {
            inside.ip(&["link", "set", interface, "promisc", "on"]);
        }
        let thread = enter(inside, move || {
            let sockets = [(open(one.0), one.1), (open(other.0), other.1)];
            ready.send(()).unwrap();
            carry(&sockets, trouble, &ends)
        });
        is_ready.recv().unwrap();
        Self { over, thread: Some(thread) }
    }

    pub(crate) fn end(mut self) -> Counts {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Runs a thread inside a namespace. Sockets that it opens stay there.
pub(crate) fn enter<T: Send + 'static>(inside: &Namespace, body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let namespace = File::open(format!("/run/netns/{}", inside.name)).unwrap();
    std::thread::spawn(move || {
        setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
        body()
    })
}

/// Opens a packet socket on an interface.
fn open(interface: &str) -> OwnedFd {
    let mut found = getifaddrs().unwrap().filter(|found| found.interface_name == interface);
    let address = found.find_map(|found| found.address?.as_link_addr().copied()).unwrap();
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_NONBLOCK, SockProtocol::EthAll).unwrap();
    bind(socket.as_raw_fd(), &address).unwrap();
    socket
}

fn carry(sockets: &[(OwnedFd, Tags); 2], trouble: Trouble, over: &AtomicBool) -> Counts {
    let mut counts = Counts::default();
    let mut rng = Rng::new(trouble.seed);
    let mut held: Vec<(usize, Vec<u8>, Instant)> = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    while !over.load(Ordering::Relaxed) {
        let mut ready = [0, 1].map(|at: usize| PollFd::new(sockets[at].0.as_fd(), PollFlags::POLLIN));
        poll(&mut ready, PollTimeout::from(1_u8)).unwrap();
        for at in [0, 1] {
            while let Some(length) = receive(&sockets[at].0, &mut buffer) {
                let to = 1 - at;
                let frame = tagged(&buffer[..length], sockets[to].1);
                let frame = frame.as_slice();
                // Only IPv4 frames: without ARP nothing would work.
                let spoiled = frame.get(12..14) == Some(&[8, 0]);
                if spoiled && rng.chance(trouble.loss) {
                    counts.lost += 1;
                } else if spoiled && rng.chance(trouble.reordered) {
                    counts.reordered += 1;
                    held.push((to, frame.to_vec(), Instant::now() + Duration::from_micros(rng.below(3_000) as u64)));
                } else {
                    put(&sockets[to].0, frame);
                    if spoiled && rng.chance(trouble.duplicates) {
                        counts.duplicated += 1;
                        put(&sockets[to].0, frame);
                    }
                }
            }
        }
        let now = Instant::now();
        for (to, frame, _) in held.extract_if(.., |(.., due)| *due <= now) {
            put(&sockets[to].0, &frame);
        }
    }
    counts
}

/// Returns the frame with the tag of the outgoing side. The kernel normally removes the tag of a
/// received frame; if not, it follows the addresses and is removed here.
fn tagged(frame: &[u8], tags: Tags) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    if bytes.get(12..14) == Some(&[0x81, 0]) {
        bytes.drain(12..16);
    }
    if let Tags::Vlan(id) = tags {
        let [high, low] = id.to_be_bytes();
        bytes.splice(12..12, [0x81, 0, high, low]);
    }
    bytes
}

/// Receives a frame that we did not send, and returns its length.
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Option<usize> {
    loop {
        match recvfrom::<LinkAddr>(socket.as_raw_fd(), buffer) {
            Ok((_, from)) if from.unwrap().pkttype() == PACKET_OUTGOING => {}
            Ok((length, _)) => return Some(length),
            Err(_) => return None,
        }
    }
}

fn put(socket: &OwnedFd, frame: &[u8]) {
    // A full queue loses the frame, as a real line does. At the end of a test the interface is
    // gone.
    let _ = send(socket.as_raw_fd(), frame, MsgFlags::empty());
}
