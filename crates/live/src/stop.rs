//! The stop request: set once, visible to all threads, wakes sleepers.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

use sniffer_packet::time::Timestamp;

/// Whether a stop was requested. The threads of a run share it.
#[derive(Debug)]
pub(crate) struct Stop {
    request: OnceLock<StopRequest>,
    /// Becomes readable with the request.
    waker: UnixStream,
    wake: UnixStream,
}

/// When the stop was requested.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StopRequest {
    pub(crate) at: Instant,
    /// The time by the clock that stamps packets.
    pub(crate) wall: Timestamp,
}

impl Stop {
    pub(crate) fn new() -> io::Result<Self> {
        let (waker, wake) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        Ok(Self { request: OnceLock::new(), waker, wake })
    }

    /// Requests a stop. Only the first request counts.
    pub(crate) fn request(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let wall = Timestamp::from_nanos(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX));
        let _ = self.request.set(StopRequest { at: Instant::now(), wall });
        // A full socket means that the sleeper was woken already.
        let _ = (&self.wake).write(&[0]);
    }

    pub(crate) fn requested(&self) -> Option<StopRequest> {
        self.request.get().copied()
    }

    /// Returns a socket that is readable once a stop was requested.
    pub(crate) const fn waker(&self) -> &UnixStream {
        &self.waker
    }
}
