//! Whole captures in memory, read up to a bound and written as pcap or pcapng.
//!
//! It never looks into a frame. `talk` and `perturb` need it; replay does not.

use std::io::{self, IsTerminal};
use std::path::Path;

use sniffer_packet::file::pcap;
use sniffer_packet::file::pcapng::PcapngWriter;
use sniffer_packet::frame::OwnedFrame;
use sniffer_replay::source::{Input, Source};

use crate::exit::{Exit, say};
use crate::output::OutputWriter;
use crate::progress::Progress;

/// The frames of a capture, and the exit code of reading them.
pub(crate) struct Capture {
    pub(crate) frames: Vec<OwnedFrame>,
    /// [`Exit::Failed`] if it is damaged; that has been reported.
    pub(crate) exit: Exit,
}

/// Reads a capture of at most `frames_max` frames with `bytes_max` bytes.
pub(crate) fn read(path: &Path, frames_max: usize, bytes_max: usize) -> Result<Capture, (Exit, String)> {
    let input = Input::from(path.as_os_str().to_owned());
    let mut source = Source::open(std::slice::from_ref(&input)).map_err(|error| (Exit::Failed, error.to_string()))?;
    let (mut frames, mut bytes) = (Vec::new(), 0);
    let mut progress = Progress::new(&source, true);
    while let Some(frame) = source.next(&mut |_| {}) {
        bytes += frame.bytes.len();
        if frames.len() == frames_max || bytes > bytes_max {
            let line =
                format!("{input} has more than {frames_max} frames or {bytes_max} bytes, which is all that fits");
            return Err((Exit::Failed, format!("{line}; cut it down first (editcap, replay --write-pcap)")));
        }
        frames.push(OwnedFrame::from(&frame));
        progress.frame(&source);
    }
    drop(progress);
    let mut exit = Exit::Success;
    for damage in source.damages() {
        say(damage);
        exit = Exit::Failed;
    }
    Ok(Capture { frames, exit })
}

/// Writes frames as pcap; as pcapng if the name ends in that or pcap cannot hold them.
pub(crate) fn write(frames: &[OwnedFrame], output: Option<&Path>) -> Result<Exit, (Exit, String)> {
    let stdout = output.is_none_or(|path| path.as_os_str() == "-");
    if stdout && io::stdout().is_terminal() {
        return Err((Exit::Usage, "a capture is nothing for a terminal: give -o FILE, or a pipe".to_owned()));
    }
    let ng = output.is_some_and(|path| path.extension().is_some_and(|end| end == "pcapng"));
    let bytes = match pcap::file(frames) {
        Ok(bytes) if !ng => bytes,
        _ => {
            let (mut bytes, mut pcapng) = (Vec::new(), PcapngWriter::default());
            pcapng.begin(&mut bytes);
            frames.iter().for_each(|frame| pcapng.frame(&frame.as_frame(), &mut bytes));
            bytes
        }
    };
    put(&bytes, output)
}

/// Writes bytes to a file, or to standard output without a path or with `-`.
pub(crate) fn put(bytes: &[u8], output: Option<&Path>) -> Result<Exit, (Exit, String)> {
    let path = output.filter(|path| path.as_os_str() != "-");
    let failed = |error: io::Error| {
        let name = path.map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
        (Exit::Failed, format!("cannot write to {name}: {error}"))
    };
    let mut sink = path.map_or_else(OutputWriter::stdout, OutputWriter::file).map_err(failed)?;
    sink.append(|buffer| buffer.extend_from_slice(bytes));
    match sink.finish() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(failed(error)),
        // A reader that closes the pipe is no error.
        _ => Ok(Exit::Success),
    }
}
