//! A bad line for `benches/real.sh`: carries frames between two interfaces, loses 2.5 %, doubles
//! 1.5 % and delays 3 %.
//!
//! `bridge ONE OTHER`. It ends when standard input has something to read, and prints what it did.
//! netem would do the same, but not every kernel has it. The interfaces must be promiscuous.
#![forbid(unsafe_code)]

use std::io;

#[cfg(target_os = "linux")]
fn main() -> io::Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let [one, other] = names.as_slice() else { return Err(io::Error::other("usage: bridge ONE OTHER")) };
    let counts = line::carry(&[line::open(one)?, line::open(other)?])?;
    eprintln!(
        "bridge: {} frames, {} lost, {} doubled, {} held back",
        counts.frames, counts.lost, counts.doubled, counts.held
    );
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() -> io::Result<()> {
    Err(io::Error::other("packet sockets are Linux's"))
}

#[cfg(target_os = "linux")]
mod line {
    use std::io;
    use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
    use std::time::{Duration, Instant};

    use nix::errno::Errno;
    use nix::ifaddrs::getifaddrs;
    use nix::libc::PACKET_OUTGOING;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::socket::sockopt::RcvBufForce;
    use nix::sys::socket::{
        AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recvfrom, send, setsockopt, socket,
    };
    use sniffer_testkit::rng::Rng;

    /// Bytes that may wait to be carried. If the kernel dropped frames for lack of room, there
    /// would be more loss than intended.
    const WAITING: usize = 16 << 20;

    /// Counts of what was done to the frames of IPv4.
    #[derive(Default)]
    pub(super) struct Counts {
        pub(super) frames: u64,
        pub(super) lost: u64,
        pub(super) doubled: u64,
        pub(super) held: u64,
    }

    struct Held {
        to: usize,
        frame: Vec<u8>,
        due: Instant,
    }

    /// Opens a packet socket on an interface.
    pub(super) fn open(interface: &str) -> io::Result<OwnedFd> {
        // The only safe way to the address of an interface: it is in the list of its addresses.
        let address = getifaddrs()?
            .filter(|found| found.interface_name == interface)
            .find_map(|found| found.address?.as_link_addr().copied())
            .ok_or_else(|| io::Error::other(format!("no interface {interface}")))?;
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_NONBLOCK, SockProtocol::EthAll)?;
        setsockopt(&socket, RcvBufForce, &WAITING)?;
        bind(socket.as_raw_fd(), &address)?;
        Ok(socket)
    }

    pub(super) fn carry(sockets: &[OwnedFd; 2]) -> io::Result<Counts> {
        let stdin = io::stdin();
        let (mut counts, mut rng, mut held) = (Counts::default(), Rng::new(42), Vec::<Held>::new());
        let mut buffer = vec![0; 1 << 16];
        loop {
            let [one, other] = sockets;
            let mut ready =
                [one.as_fd(), other.as_fd(), stdin.as_fd()].map(|from| PollFd::new(from, PollFlags::POLLIN));
            poll(&mut ready, PollTimeout::from(1_u8))?;
            if ready[2].any().unwrap_or(false) {
                return Ok(counts);
            }
            for from in [0, 1] {
                let to = 1 - from;
                while let Some(length) = receive(&sockets[from], &mut buffer)? {
                    let frame = &buffer[..length];
                    // Only IPv4, because without ARP there is no network at all.
                    let spoiled = frame.get(12..14) == Some(&[8, 0]);
                    counts.frames += u64::from(spoiled);
                    if spoiled && rng.chance(0.025) {
                        counts.lost += 1;
                    } else if spoiled && rng.chance(0.03) {
                        counts.held += 1;
                        let due = Instant::now() + Duration::from_micros(500 + rng.below(3_000) as u64);
                        held.push(Held { to, frame: frame.to_vec(), due });
                    } else {
                        put(&sockets[to], frame)?;
                        if spoiled && rng.chance(0.015) {
                            counts.doubled += 1;
                            put(&sockets[to], frame)?;
                        }
                    }
                }
            }
            let now = Instant::now();
            for Held { to, frame, .. } in held.extract_if(.., |held| held.due <= now) {
                put(&sockets[to], &frame)?;
            }
        }
    }

    /// Returns the length of a frame that came in, not of one that was sent.
    fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match recvfrom::<LinkAddr>(socket.as_raw_fd(), buffer) {
                Ok((_, Some(from))) if from.pkttype() == PACKET_OUTGOING => {}
                Ok((length, _)) => return Ok(Some(length)),
                Err(Errno::EAGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn put(socket: &OwnedFd, frame: &[u8]) -> io::Result<()> {
        match send(socket.as_raw_fd(), frame, MsgFlags::empty()) {
            // A full queue loses the frame, as lines do.
            Ok(_) | Err(Errno::EAGAIN | Errno::ENOBUFS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
