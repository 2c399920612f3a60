//! The raw bytes of a file or pipe, the size of the file, and how many bytes were read.
//!
//! It never looks at the bytes. It reads and does not map: a walk from header to header in a
//! mapping is a chain of cache misses, and a pipe cannot be mapped at all. hot: see NOTES#read
//! Next: [`super::window`], for a plain capture; [`super::packed`], for a packed one.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A reader that counts bytes.
pub(super) struct Raw {
    reader: Box<dyn Read + Send>,
    /// Bytes read so far.
    pub(super) position: u64,
    /// Size in bytes, for a regular file.
    pub(super) size: Option<u64>,
}

/// The way in which a file of a timeline holds its handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handle {
    /// Open until the file is read.
    Kept,
    /// Opened for each read: this costs a few system calls, but any number of files can be read
    /// side by side.
    Borrowed,
}

impl Raw {
    /// Opens a file, a named pipe or a device.
    pub(super) fn open(path: &Path, handle: Handle) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory, not a capture"));
        }
        if metadata.is_file() && handle == Handle::Borrowed {
            let size = Some(metadata.len());
            return Ok(Self { reader: Box::new(Reopening { path: path.to_owned(), position: 0 }), position: 0, size });
        }
        Ok(Self::from_file(file, metadata.is_file().then_some(metadata.len())))
    }

    /// Standard input, unbuffered: `std::io::Stdin` would copy every byte once more, and hide the
    /// size of `< file`.
    #[cfg(unix)]
    pub(super) fn standard_input() -> io::Result<Self> {
        use std::os::fd::AsFd;
        let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory, not a capture"));
        }
        Ok(Self::from_file(file, metadata.is_file().then_some(metadata.len())))
    }

    /// Standard input.
    #[cfg(not(unix))]
    pub(super) fn standard_input() -> io::Result<Self> {
        Ok(Self::from_reader(io::stdin()))
    }

    /// Any reader, treated as a pipe.
    pub(super) fn from_reader(reader: impl Read + Send + 'static) -> Self {
        Self { reader: Box::new(reader), position: 0, size: None }
    }

    fn from_file(file: File, size: Option<u64>) -> Self {
        Self { reader: Box::new(file), position: 0, size }
    }

    /// Returns whether a read may block: true for everything but a regular file.
    pub(super) fn may_block(&self) -> bool {
        self.size.is_none()
    }

    /// Reads once, again only if a signal interrupted it. Returns 0 at the end.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.reader.read(into) {
                Ok(count) => {
                    self.position += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A regular file that is open only during each read.
struct Reopening {
    path: PathBuf,
    position: u64,
}

impl Read for Reopening {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.position))?;
        let count = file.read(into)?;
        self.position += count as u64;
        Ok(count)
    }
}
