//! A progress bar on stderr, for large files.
//!
//! It shows only on a terminal that nothing else writes to. Next: `replay`.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use sniffer_replay::source::Source;

/// Minimum size of the input in bytes. A smaller replay ends before anybody has read the bar.
const LARGE: u64 = 64 * 1024 * 1024;

/// Frames between two updates: about a millisecond.
const FRAMES: u32 = 4096;

/// A progress bar, or nothing.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    frames: u32,
}

impl Progress {
    /// Shows a bar if `wanted`, the input is large and stderr is a terminal.
    pub(crate) fn new(source: &Source, wanted: bool) -> Self {
        let total = source.progress().total.filter(|&total| wanted && total >= LARGE && io::stderr().is_terminal());
        let bar = total.map(|total| {
            let bar = ProgressBar::new(total);
            let template = "{bar:32} {percent:>3} %  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        Self { bar, frames: 0 }
    }

    /// Counts a frame, and updates the bar now and then.
    #[inline]
    pub(crate) fn frame(&mut self, source: &Source) {
        let Some(bar) = &self.bar else { return };
        self.frames += 1;
        if self.frames == FRAMES {
            self.frames = 0;
            bar.set_position(source.progress().read);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
