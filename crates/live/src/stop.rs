//! The request to stop: told once, seen by everybody, wakes whoever sleeps.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

use sniffer_packet::time::Timestamp;

/// Shared by the threads of a run.
#[derive(Debug)]
pub(crate) struct Stop {
    request: OnceLock<StopRequest>,
    /// Becomes readable with the request.
    waker: UnixStream,
    wake: UnixStream,
}

/// When it was told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StopRequest {
    pub(crate) at: Instant,
    /// By the clock that packets are stamped with.
    pub(crate) wall: Timestamp,
}

impl Stop {
    pub(crate) fn new() -> io::Result<Self> {
        let (waker, wake) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        Ok(Self { request: OnceLock::new(), waker, wake })
    }

    /// Tells it; the first time counts.
    pub(crate) fn request(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let wall = Timestamp::from_nanos(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX));
        let _ = self.request.set(StopRequest { at: Instant::now(), wall });
        // Full means that it was woken already.
        let _ = (&self.wake).write(&[0]);
    }

    pub(crate) fn requested(&self) -> Option<StopRequest> {
        self.request.get().copied()
    }

    /// Readable from the request on.
    pub(crate) const fn waker(&self) -> &UnixStream {
        &self.waker
    }
}
