//! Sends HTTP traffic as raw frames at a rate: `blast INTERFACE PACKETS_PER_SECOND SECONDS`. For
//! `benches/load.sh`, in a network namespace made for it.
//!
//! There are sixty-four persistent connections. Each exchange is a request, its acknowledgement, a
//! response of 700 bytes of JSON, and its acknowledgement. There is no peer: only the capture sees
//! the frames.
#![expect(unsafe_code, reason = "a packet socket that skips the queueing discipline has no safe interface")]
#![expect(clippy::unwrap_used, reason = "a tool for a script; it fails by panicking")]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 64;
const REQUEST: &[u8] =
    b"GET /v1/orders/12345?expand=items HTTP/1.1\r\nhost: api.example.test\r\nuser-agent: blast\r\naccept: */*\r\n\r\n";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (interface, rate, seconds) =
        (&arguments[1], arguments[2].parse::<f64>().unwrap(), arguments[3].parse::<f64>().unwrap());
    let socket = open(interface);
    let body = format!("{{\"items\":[{}]}}", vec!["{\"id\":1,\"name\":\"a\"}"; 34].join(","));
    let response =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let steps: [(bool, &[u8]); 4] = [(true, REQUEST), (false, b""), (false, response.as_bytes()), (true, b"")];
    let mut next = [[1_u32, 1_u32]; CONNECTIONS];
    let (start, mut sent, mut failed) = (Instant::now(), 0_u64, 0_u64);
    let mut frame = Vec::with_capacity(1600);
    'all: loop {
        for (from_client, payload) in steps {
            for (number, next) in next.iter_mut().enumerate() {
                build(&mut frame, number as u16, from_client, payload, next);
                // SAFETY: the frame has the length that is passed.
                let done = unsafe { libc::send(socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
                failed += u64::from(done < 0);
                sent += 1;
            }
            let due = Duration::from_secs_f64(sent as f64 / rate);
            while start.elapsed() < due {
                std::hint::spin_loop();
            }
            if start.elapsed().as_secs_f64() >= seconds {
                break 'all;
            }
        }
    }
    println!("{} {failed}", (sent as f64 / start.elapsed().as_secs_f64()) as u64);
}

/// Builds Ethernet, IPv4 and TCP without checksums, like frames that are captured before the
/// hardware fills them in.
fn build(frame: &mut Vec<u8>, number: u16, from_client: bool, payload: &[u8], next: &mut [u32; 2]) {
    let (mine, theirs) = if from_client { (0, 1) } else { (1, 0) };
    frame.clear();
    frame.extend([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0]);
    frame.extend((40 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    let ends = [([10, 9, 0, 1], 20_000 + number), ([10, 9, 0, 9], 80)];
    frame.extend(ends[mine].0);
    frame.extend(ends[theirs].0);
    frame.extend(ends[mine].1.to_be_bytes());
    frame.extend(ends[theirs].1.to_be_bytes());
    frame.extend(next[mine].to_be_bytes());
    frame.extend(next[theirs].to_be_bytes());
    frame.extend([0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    frame.extend(payload);
    next[mine] = next[mine].wrapping_add(payload.len() as u32);
}

fn open(interface: &str) -> OwnedFd {
    let name = std::ffi::CString::new(interface).unwrap();
    // SAFETY: plain system calls; the structures are zeroed, sized by their type, and outlive the
    // calls.
    unsafe {
        let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
        assert!(fd >= 0, "a packet socket needs CAP_NET_RAW");
        let fd = OwnedFd::from_raw_fd(fd);
        let mut address: libc::sockaddr_ll = std::mem::zeroed();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = libc::if_nametoindex(name.as_ptr()) as i32;
        assert_eq!(libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as u32), 0);
        let one = 1_i32;
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, (&raw const one).cast(), 4);
        fd
    }
}
