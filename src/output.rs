//! The output: standard output, a file that appears once it is complete, or a device.
//!
//! It never formats anything: callers append bytes to the buffer. Writes are of [`BUFFER`] bytes,
//! or fewer before a read that may block. Next: `replay`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, IsTerminal, Write};
use std::path::{Path, PathBuf};

use sniffer_engine::json::Lines;

/// Size of one write: large enough that system calls cost little, small enough for the second-level
/// cache.
const BUFFER: usize = 256 * 1024;

/// Capacity that the buffer keeps after a write. A message of many MiB must not hold its memory
/// until the end, but one of 1 MiB, the default limit of a body, must not allocate each time.
/// hot: see NOTES#output-buffer
const KEPT: usize = 4 << 20;

/// A buffered writer to the output.
pub(crate) struct OutputWriter {
    sink: File,
    buffer: Lines,
    terminal: bool,
    /// Name of the output in errors.
    name: String,
    /// The file, while it has its temporary name.
    unfinished: Option<Unfinished>,
    /// The first write that failed; nothing is written after it.
    failure: Option<io::Error>,
}

/// A file under a temporary name beside its final one. Dropping it removes the temporary file.
struct Unfinished {
    temporary: PathBuf,
    path: PathBuf,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the rename there is nothing to remove; before it, an error has no remedy.
        let _ = fs::remove_file(&self.temporary);
    }
}

impl OutputWriter {
    /// Opens standard output.
    pub(crate) fn stdout() -> io::Result<Self> {
        let terminal = io::stdout().is_terminal();
        // `io::stdout()` itself would write every line separately.
        #[cfg(unix)]
        let sink = File::from(std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned()?);
        #[cfg(windows)]
        let sink = File::from(std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned()?);
        Ok(Self::new(sink, terminal, "standard output".to_owned(), None))
    }

    /// Opens an output file.
    ///
    /// A regular file is written under a temporary name beside it and renamed at the end: nobody
    /// reads half of it, and the old file stays until then. Devices, pipes and terminals are
    /// written directly.
    pub(crate) fn file(path: &Path) -> io::Result<Self> {
        let name = path.display().to_string();
        // Replaces the target of a symbolic link, not the link.
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
                    // The new file should keep the old one's permissions. Failing to is no error.
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

    /// Returns whether the output is a terminal.
    pub(crate) const fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Returns the name of the output in errors.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Lets `write` append bytes to the buffer.
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

    /// Writes the buffer.
    pub(crate) fn flush(&mut self) {
        if self.failure.is_none() && !self.buffer.is_empty() {
            self.failure = write(&self.sink, &mut [IoSlice::new(self.buffer.as_bytes())]).err();
            self.buffer.clear(KEPT);
        }
    }

    /// Writes pieces after the buffer without copying them, unless they are few bytes.
    ///
    /// hot: see NOTES#output-pieces
    pub(crate) fn write_pieces(&mut self, pieces: &mut [IoSlice<'_>]) {
        if pieces.iter().map(|piece| piece.len()).sum::<usize>() < BUFFER / 4 {
            return self.append(|buffer| pieces.iter().for_each(|piece| buffer.extend_from_slice(piece)));
        }
        self.flush();
        if self.failure.is_none() {
            self.failure = write(&self.sink, pieces).err();
        }
    }

    /// Returns whether a write has failed.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Writes the rest and gives the file its final name.
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

/// Writes all pieces.
///
/// If the other end left the pipe in non-blocking mode, as Node and some shells do, a full pipe is
/// no failure: this waits for room.
fn write(mut sink: &File, mut pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
    // Drops empty pieces in front: writing only those would return 0, as if the disk were full.
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

/// Creates a temporary file in the same folder, so that the rename stays within one file system.
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
            // Left over from a killed run with the same process id.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
