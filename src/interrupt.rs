//! SIGINT and SIGTERM: the first signal stops the reading and the rest ends in order, the second
//! signal ends the process at once.
//!
//! The signal handler only stores to atomics and writes a byte to a pipe. Next: `replay`.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The signal that came, if any.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Installs the handlers of both signals.
    pub(crate) fn install() -> io::Result<Self> {
        let signal = Arc::new(AtomicUsize::new(0));
        #[cfg(unix)]
        unix::install(&signal)?;
        Ok(Self { signal })
    }

    /// Returns the signal that came, if any.
    pub(crate) fn signal(&self) -> Option<u8> {
        match self.signal.load(Ordering::Relaxed) {
            0 => None,
            number => u8::try_from(number).ok(),
        }
    }

    /// Calls `call` on a thread of its own when the first signal comes.
    #[cfg(feature = "live")]
    pub(crate) fn then(&self, call: impl FnOnce() + Send + 'static) -> io::Result<()> {
        #[cfg(unix)]
        unix::then(call)?;
        Ok(())
    }

    /// Wraps a pipe in a reader that a signal wakes.
    pub(crate) fn reader(&self, pipe: File) -> io::Result<impl Read + Send + 'static> {
        #[cfg(unix)]
        return unix::PipeReader::new(pipe, self.clone());
        #[cfg(not(unix))]
        Ok(pipe)
    }
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io::{self, Read};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize};
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::{flag, low_level};

    use super::Interrupt;

    const SIGNALS: [i32; 2] = [SIGINT, SIGTERM];

    /// Time for the other end of a pipe to finish after the signal. Ctrl-C also reaches
    /// `tcpdump -w -`, which then writes its buffer: in milliseconds, except on a loaded machine.
    const GRACE: Duration = Duration::from_secs(1);

    pub(super) fn install(signal: &Arc<AtomicUsize>) -> io::Result<()> {
        // Order matters: the shutdown must be registered before the store that arms it, or the
        // first signal would arm it and then trigger it.
        let armed = Arc::new(AtomicBool::new(false));
        for number in SIGNALS {
            flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&armed))?;
        }
        for number in SIGNALS {
            flag::register(number, Arc::clone(&armed))?;
            flag::register_usize(number, Arc::clone(signal), number.unsigned_abs() as usize)?;
        }
        Ok(())
    }

    #[cfg(feature = "live")]
    pub(super) fn then(call: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let (mut wake, waker) = UnixStream::pair()?;
        for number in SIGNALS {
            low_level::pipe::register(number, waker.try_clone()?)?;
        }
        let wait = move || {
            // Each signal writes a byte; the first is enough.
            if wake.read_exact(&mut [0]).is_ok() {
                call();
            }
        };
        std::thread::Builder::new().name("sniffer-signal".to_owned()).spawn(wait)?;
        Ok(())
    }

    /// A reader that waits for the pipe or a signal; after a signal it reads on for at most
    /// [`GRACE`].
    pub(super) struct PipeReader {
        pipe: File,
        /// Becomes readable with the signal, even if it comes between the check of the flag and the
        /// wait.
        wake: UnixStream,
        interrupt: Interrupt,
        until: Option<Instant>,
    }

    impl PipeReader {
        pub(super) fn new(pipe: File, interrupt: Interrupt) -> io::Result<Self> {
            let (wake, waker) = UnixStream::pair()?;
            for number in SIGNALS {
                low_level::pipe::register(number, waker.try_clone()?)?;
            }
            Ok(Self { pipe, wake, interrupt, until: None })
        }
    }

    impl Read for PipeReader {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            loop {
                if self.until.is_none() && self.interrupt.signal().is_some() {
                    self.until = Some(Instant::now() + GRACE);
                }
                let rest = self.until.map(|until| until.saturating_duration_since(Instant::now()));
                if rest == Some(Duration::ZERO) {
                    return Ok(0);
                }
                let timeout = rest.and_then(|rest| Timespec::try_from(rest).ok());
                let mut fds = [PollFd::new(&self.pipe, PollFlags::IN), PollFd::new(&self.wake, PollFlags::IN)];
                // After the signal, `wake` stays readable and would end every wait at once.
                let watched = if rest.is_some() { &mut fds[..1] } else { &mut fds[..] };
                match poll(watched, timeout.as_ref()) {
                    Ok(_) => {}
                    Err(rustix::io::Errno::INTR) => continue,
                    Err(error) => return Err(error.into()),
                }
                if !fds[0].revents().is_empty() {
                    match self.pipe.read(into) {
                        // Another process read the data from the same non-blocking pipe first.
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                        read => return read,
                    }
                }
            }
        }
    }
}
