//! A progress bar on stderr, for files that take a while.
//!
//! It never shows unless somebody can see it and nothing else writes to the same screen. Next: `replay`.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use sniffer_replay::source::Source;

/// Below this a replay is over before a bar has been read.
const LARGE: u64 = 64 * 1024 * 1024;

/// Frames between two looks at how far it is: about a millisecond's worth.
const FRAMES: u32 = 4096;

/// A bar, or nothing.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    frames: u32,
}

impl Progress {
    /// A bar when `wanted` and of use.
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

    /// Called for every frame.
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
