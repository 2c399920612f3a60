//! JSON lines on standard output: one write per line, never interleaved with other output of ours.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};

use super::queue::{Queue, Reason};

/// Why the output ended before its queue.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The reader closed the pipe. This is no error.
    Closed,
    /// A write failed, for example because the disk is full.
    Failed(io::Error),
}

/// Opens standard output as a file, because `io::stdout()` buffers.
pub(crate) fn open() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Writes lines until the queue ends or the reader closes the pipe.
pub(crate) fn run(queue: &Arc<Queue>, sink: &File) -> Result<(), Ended> {
    while let Some(ticket) = queue.take() {
        match write(sink, &ticket.envelope().line, &|| queue.has_ended()) {
            Ok(()) => ticket.delivered(),
            Err(error) => {
                ticket.dropped(Reason::OutputEnded);
                queue.end(Reason::OutputEnded);
                let closed = error.kind() == io::ErrorKind::BrokenPipe;
                return Err(if closed { Ended::Closed } else { Ended::Failed(error) });
            }
        }
    }
    Ok(())
}

/// Writes all bytes. Waits for a full pipe in non-blocking mode (Node and some shells leave pipes in
/// it), unless the write was `abandoned`.
pub(crate) fn write(mut sink: &File, mut bytes: &[u8], abandoned: &dyn Fn() -> bool) -> io::Result<()> {
    /// How often the wait for a full pipe checks whether the write was abandoned.
    const LOOK: rustix::event::Timespec = rustix::event::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    while !bytes.is_empty() {
        match sink.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if abandoned() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                match poll(&mut [PollFd::new(sink, PollFlags::OUT)], Some(&LOOK)) {
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};
    use std::os::fd::OwnedFd;
    use std::thread;

    use super::*;
    use crate::output::envelope::tests::envelope;

    fn filled(messages: u32, size: usize) -> Arc<Queue> {
        let queue = Queue::new();
        (0..messages).for_each(|n| queue.offer(envelope(n, size)).unwrap());
        queue.close();
        queue
    }

    fn pipe() -> (File, File) {
        let (read, write): (OwnedFd, OwnedFd) = rustix::pipe::pipe().unwrap();
        (File::from(read), File::from(write))
    }

    #[test]
    fn a_full_pipe_in_non_blocking_mode_is_waited_for() {
        let (reader, writer) = pipe();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let queue = filled(100, 10_000);
        let read = thread::spawn(move || {
            let mut all = Vec::new();
            BufReader::new(reader).read_to_end(&mut all).unwrap();
            all.len()
        });
        run(&queue, &writer).unwrap();
        drop(writer);
        assert_eq!(read.join().unwrap(), 1_000_000);
        assert_eq!(queue.tally().delivered, 100);
    }

    #[test]
    fn a_reader_that_closes_the_pipe_ends_the_output_without_an_error() {
        let (reader, writer) = pipe();
        drop(reader);
        let queue = filled(3, 10);
        assert!(matches!(run(&queue, &writer), Err(Ended::Closed)));
        let tally = queue.tally();
        assert_eq!((tally.delivered, tally.dropped(Reason::OutputEnded), tally.queued), (0, 3, 0));
    }

    #[test]
    fn a_full_disk_is_an_error_and_everything_is_counted() {
        let queue = filled(3, 10);
        let full = File::options().write(true).open("/dev/full").unwrap();
        let Err(Ended::Failed(error)) = run(&queue, &full) else { panic!("/dev/full takes nothing") };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(queue.tally().dropped(Reason::OutputEnded), 3);
    }
}
