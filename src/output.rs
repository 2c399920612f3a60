//! Where the data goes: standard output, a file that appears when it is complete, or a device.
//!
//! It never formats anything: whoever writes appends bytes to the buffer. One write of [`BUFFER`] bytes at a time, or
//! what there is before a read that may wait. Next: `replay`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, IsTerminal, Write};
use std::path::{Path, PathBuf};

use sniffer_engine::json::Lines;

/// Size of one write: large enough that system calls do not show, small enough for the second-level cache.
const BUFFER: usize = 256 * 1024;

/// Memory that the buffer keeps. One message of many MiB must not hold its memory for good; those of 1 MiB, which is what is kept
/// of a body unless asked otherwise, must not ask for it one by one: that was a tenth of a replay of large bodies.
const KEPT: usize = 4 << 20;

/// Data on its way out.
pub(crate) struct OutputWriter {
    sink: File,
    buffer: Lines,
    terminal: bool,
    /// What to call it in errors.
    name: String,
    /// Set while the file has its temporary name.
    unfinished: Option<Unfinished>,
    /// The first write that failed; nothing is written after it.
    failure: Option<io::Error>,
}

/// A file under a temporary name beside its final one. Dropped before [`OutputWriter::finish`], it is removed.
struct Unfinished {
    temporary: PathBuf,
    path: PathBuf,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the rename there is nothing to remove; before it, nobody can do anything about an error.
        let _ = fs::remove_file(&self.temporary);
    }
}

impl OutputWriter {
    /// Standard output.
    pub(crate) fn stdout() -> io::Result<Self> {
        let terminal = io::stdout().is_terminal();
        // Not `io::stdout()` itself: it would write at every line.
        #[cfg(unix)]
        let sink = File::from(std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned()?);
        #[cfg(windows)]
        let sink = File::from(std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned()?);
        Ok(Self::new(sink, terminal, "standard output".to_owned(), None))
    }

    /// A regular file is written beside under a temporary name, so that nobody ever reads half of one, and what stood
    /// there before stays until then; devices, pipes and terminals are written directly.
    pub(crate) fn file(path: &Path) -> io::Result<Self> {
        let name = path.display().to_string();
        // The file behind a symbolic link is replaced, not the link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => Err(io::Error::from(io::ErrorKind::IsADirectory)),
            Ok(metadata) if !metadata.is_file() => {
                let file = OpenOptions::new().write(true).open(&path)?;
                let terminal = file.is_terminal();
                Ok(Self::new(file, terminal, name, None))
            }
            existing => {
                let (temporary, file) = beside(&path)?;
                let unfinished = Unfinished { temporary, path };
                if let Ok(metadata) = existing {
                    // A rename must not change who may read it; where it cannot be kept, ours is as good as any.
                    let _ = file.set_permissions(metadata.permissions());
                }
                Ok(Self::new(file, false, name, Some(unfinished)))
            }
        }
    }

    fn new(sink: File, terminal: bool, name: String, unfinished: Option<Unfinished>) -> Self {
        let buffer = Lines::default();
        Self { sink, buffer, terminal, name, unfinished, failure: None }
    }

    /// Whether a person sees it as it comes.
    pub(crate) const fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// What to call it in errors.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Lets `write` append to the buffer.
    pub(crate) fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.append_lines(|lines| lines.append(write));
    }

    /// Lets `write` append messages to the buffer.
    #[inline]
    pub(crate) fn append_lines(&mut self, write: impl FnOnce(&mut Lines)) {
        if self.failure.is_none() {
            write(&mut self.buffer);
            if self.buffer.len() >= BUFFER {
                self.flush();
            }
        }
    }

    /// Hands on what there is.
    pub(crate) fn flush(&mut self) {
        if self.failure.is_none() && !self.buffer.is_empty() {
            self.failure = write(&self.sink, &mut [IoSlice::new(self.buffer.as_bytes())]).err();
            self.buffer.clear(KEPT);
        }
    }

    /// Hands on pieces that stand elsewhere behind what there is; few bytes are put into the buffer.
    ///
    /// Not to copy the lines of other threads, which lie in their caches, took a tenth of a replay's time.
    pub(crate) fn write_pieces(&mut self, pieces: &mut [IoSlice<'_>]) {
        if pieces.iter().map(|piece| piece.len()).sum::<usize>() < BUFFER / 4 {
            return self.append(|buffer| pieces.iter().for_each(|piece| buffer.extend_from_slice(piece)));
        }
        self.flush();
        if self.failure.is_none() {
            self.failure = write(&self.sink, pieces).err();
        }
    }

    /// Whether a write has failed.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Writes the rest and gives the file its name.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush();
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        match &self.unfinished {
            Some(Unfinished { temporary, path }) => fs::rename(temporary, path),
            None => Ok(()),
        }
    }
}

/// Writes all of it, and waits where the other end left the pipe in non-blocking mode (Node and some shells do) and it is
/// full: that is no failure.
fn write(mut sink: &File, mut pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
    // Empty ones in front would look like a full disk.
    IoSlice::advance_slices(&mut pieces, 0);
    while !pieces.is_empty() {
        match sink.write_vectored(pieces) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut pieces, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            #[cfg(unix)]
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                use rustix::event::{PollFd, PollFlags, poll};
                match poll(&mut [PollFd::new(sink, PollFlags::OUT)], None) {
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A new file in the same folder, so that the rename stays within one file system.
fn beside(path: &Path) -> io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let process = std::process::id();
    for attempt in 0..100 {
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{process}-{attempt}.tmp"));
        let temporary = path.with_file_name(temporary);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            // Left over from a run that was killed and had our number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
