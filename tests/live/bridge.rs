//! A bridge between two interfaces that loses, repeats and reorders frames, by a seed.
//!
//! netem would do the same where the kernel has it; this needs packet sockets alone. One thread, which enters the namespace
//! of its interfaces: `setns` is for the thread.
#![expect(unsafe_code, reason = "packet sockets and namespaces have no safe interface in std or rustix")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::net::Namespace;

/// How bad it is: shares of all frames.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Trouble {
    pub(crate) loss: f64,
    pub(crate) duplicates: f64,
    pub(crate) reordered: f64,
    pub(crate) seed: u64,
}

/// How frames look on one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tags {
    None,
    /// With an 802.1Q tag.
    Vlan(u16),
}

/// What it did.
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
        let thread = enter(inside, move || {
            let sockets = [(open(one.0).unwrap(), one.1), (open(other.0).unwrap(), other.1)];
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

/// A thread inside a namespace; the sockets that it opens stay there.
pub(crate) fn enter<T: Send + 'static>(inside: &Namespace, body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let namespace = File::open(format!("/run/netns/{}", inside.name)).unwrap();
    std::thread::spawn(move || {
        // SAFETY: a valid descriptor of a namespace; the call moves this thread only.
        assert_eq!(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) }, 0);
        body()
    })
}

/// A packet socket on an interface, taking what is for others too.
fn open(interface: &str) -> io::Result<OwnedFd> {
    const ALL: u16 = (libc::ETH_P_ALL as u16).to_be();
    let name = std::ffi::CString::new(interface).unwrap();
    // SAFETY: plain system calls; the structures are zeroed, sized by their type, and outlive the calls.
    unsafe {
        let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK, i32::from(ALL));
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let fd = OwnedFd::from_raw_fd(fd);
        let mut address: libc::sockaddr_ll = std::mem::zeroed();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = ALL;
        address.sll_ifindex = libc::if_nametoindex(name.as_ptr()) as i32;
        if libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as u32) < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut promiscuous: libc::packet_mreq = std::mem::zeroed();
        promiscuous.mr_ifindex = address.sll_ifindex;
        promiscuous.mr_type = libc::PACKET_MR_PROMISC as u16;
        let set = libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            (&raw const promiscuous).cast(),
            size_of_val(&promiscuous) as u32,
        );
        if set < 0 { Err(io::Error::last_os_error()) } else { Ok(fd) }
    }
}

fn carry(sockets: &[(OwnedFd, Tags); 2], trouble: Trouble, over: &AtomicBool) -> Counts {
    let mut counts = Counts::default();
    let mut random = trouble.seed;
    // SplitMix64.
    let mut chance = move || {
        random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut held: Vec<(usize, Vec<u8>, Instant)> = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    while !over.load(Ordering::Relaxed) {
        let mut fds =
            [0, 1].map(|at: usize| libc::pollfd { fd: sockets[at].0.as_raw_fd(), events: libc::POLLIN, revents: 0 });
        // SAFETY: two valid entries.
        unsafe { libc::poll(fds.as_mut_ptr(), 2, 1) };
        for at in [0, 1] {
            while let Some(frame) = receive(&sockets[at].0, &mut buffer) {
                let to = 1 - at;
                let frame = tagged(frame, sockets[to].1);
                let frame = frame.as_slice();
                // Only IPv4: without ARP there is no network at all.
                let spoiled = frame.get(12..14) == Some(&[8, 0]);
                if spoiled && chance() < trouble.loss {
                    counts.lost += 1;
                } else if spoiled && chance() < trouble.reordered {
                    counts.reordered += 1;
                    held.push((to, frame.to_vec(), Instant::now() + Duration::from_micros((chance() * 3000.0) as u64)));
                } else {
                    send(&sockets[to].0, frame);
                    if spoiled && chance() < trouble.duplicates {
                        counts.duplicated += 1;
                        send(&sockets[to].0, frame);
                    }
                }
            }
        }
        let now = Instant::now();
        held.retain(|(to, frame, due)| {
            if *due <= now {
                send(&sockets[*to].0, frame);
            }
            *due > now
        });
    }
    counts
}

/// The frame as it goes out. A packet socket gives frames without their tag, which the kernel has taken off; where it has
/// not, it stands behind the addresses.
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

/// A frame that came in; not one that we sent.
fn receive<'a>(socket: &OwnedFd, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    loop {
        // SAFETY: the buffer and the address are as long as is said.
        let (read, from) = unsafe {
            let mut from: libc::sockaddr_ll = std::mem::zeroed();
            let mut length = size_of_val(&from) as u32;
            let buffer_length = buffer.len();
            let read = libc::recvfrom(
                socket.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer_length,
                0,
                (&raw mut from).cast(),
                &raw mut length,
            );
            (read, from)
        };
        if read <= 0 {
            return None;
        }
        if from.sll_pkttype != libc::PACKET_OUTGOING {
            return Some(&buffer[..read as usize]);
        }
    }
}

fn send(socket: &OwnedFd, frame: &[u8]) {
    // SAFETY: the frame is as long as is said. A full queue loses the frame, which is what this is for.
    unsafe { libc::send(socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
}
