//! Logs: `tracing` events as JSON lines with `timestamp`, `level`, `message`, then the event's
//! fields.
//!
//! Only events of this project are written: those of libraries may hold headers or bodies. Logging
//! never waits: lines go through a bounded queue to a thread. Lines that do not fit are dropped,
//! and the next line that fits has their number.
//!
//! A field whose `Debug` or `Display` text is JSON (`ports = ?[80]`) stands in the line as that
//! JSON.

use std::fmt;
use std::fs::File;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use serde_json::value::RawValue;
use sniffer_packet::time::{Precision, Timestamp};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::output::stdout;

/// Lines that may wait for a slow stderr. Arbitrary: a few hundred KiB.
const WAITING: usize = 1024;

/// Longest wait, at the end, for lines that are not written yet.
const FLUSH: Duration = Duration::from_secs(1);

/// Prefix of the targets that are written.
const OURS: &str = "sniffer";

/// Writes log lines to stderr for as long as it lives.
#[derive(Debug)]
pub struct Logging {
    /// Ends the thread when it is dropped.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    done: Receiver<()>,
    flushes: Sender<Sender<()>>,
}

impl Logging {
    /// Starts writing the events of this process to stderr. Does nothing if the process has a
    /// subscriber already.
    pub fn to_stderr() -> Self {
        let (lines, waiting) = bounded::<Vec<u8>>(WAITING);
        let (end, ended) = bounded(0);
        let (running, done) = bounded(0);
        let (flushes, asked) = bounded::<Sender<()>>(1);
        let thread = std::thread::Builder::new().name("sniffer-log".to_owned());
        let thread = thread.spawn(move || {
            let stderr = std::io::stderr().as_fd().try_clone_to_owned().map(File::from);
            let write = |line: Vec<u8>| {
                // A failed write cannot be reported anywhere.
                let _ = stderr.as_ref().map(|stderr| stdout::write(stderr, &line, &|| false));
            };
            loop {
                crossbeam_channel::select! {
                    recv(waiting) -> line => match line { Ok(line) => write(line), Err(_) => break },
                    recv(asked) -> flushed => {
                        waiting.try_iter().for_each(write);
                        // `flush` waits for this to be dropped.
                        drop(flushed);
                    }
                    recv(ended) -> _ => break,
                }
            }
            waiting.try_iter().for_each(write);
            drop(running);
        });
        let subscriber = tracing_subscriber::registry().with(LogLines::new(lines));
        let _ = tracing::subscriber::set_global_default(subscriber);
        Self { end: Some(end), thread: thread.ok(), done, flushes }
    }

    /// Waits, for a second at most, until all lines so far are written: for a process that may end
    /// at any moment.
    pub fn flush(&self) {
        let (flushed, done) = bounded(0);
        if self.flushes.send_timeout(flushed, FLUSH).is_ok() {
            let _ = done.recv_timeout(FLUSH);
        }
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        drop(self.end.take());
        // A blocked stderr must not hold up the end.
        if self.done.recv_timeout(FLUSH) == Err(crossbeam_channel::RecvTimeoutError::Disconnected)
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// A layer that turns events into lines.
#[derive(Debug)]
pub(crate) struct LogLines {
    lines: Sender<Vec<u8>>,
    lost: AtomicU64,
}

impl LogLines {
    /// A layer that puts its lines into this queue.
    const fn new(lines: Sender<Vec<u8>>) -> Self {
        Self { lines, lost: AtomicU64::new(0) }
    }
}

impl<S: Subscriber> Layer<S> for LogLines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with(OURS) && *metadata.level() <= Level::INFO
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::new(SystemTime::now(), *event.metadata().level());
        event.record(&mut line);
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            line.raw("logLinesDropped", &lost.to_string());
        }
        if let Err(TrySendError::Full(_)) = self.lines.try_send(line.finish()) {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }
}

/// A line that is being built.
struct Line {
    head: String,
    message: String,
    fields: String,
}

impl Line {
    fn new(now: SystemTime, level: Level) -> Self {
        let nanos = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let time = Timestamp::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let level = level.as_str().to_ascii_lowercase();
        let head = format!("{{\"timestamp\":\"{}\",\"level\":\"{level}\"", time.rfc3339(Precision::Micros));
        Self { head, message: String::new(), fields: String::new() }
    }

    fn finish(self) -> Vec<u8> {
        let message = serde_json::Value::from(self.message);
        format!("{},\"message\":{message}{}}}\n", self.head, self.fields).into_bytes()
    }

    fn raw(&mut self, name: &str, json: &str) {
        self.fields.push(',');
        self.fields.push_str(&serde_json::Value::from(name).to_string());
        self.fields.push(':');
        self.fields.push_str(json);
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else if text.starts_with(['[', '{']) && serde_json::from_str::<&RawValue>(&text).is_ok() {
            self.raw(field.name(), &text);
        } else {
            self.record_str(field, &text);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.raw(field.name(), &serde_json::Value::from(value).to_string());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.raw(field.name(), &value.to_string());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.raw(field.name(), &value.to_string());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.raw(field.name(), &serde_json::Value::from(value).to_string());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.raw(field.name(), if value { "true" } else { "false" });
    }
}

/// Limits how often something is logged: lets through `per_second`, and counts the others.
#[derive(Debug)]
pub struct Throttle {
    per_second: u32,
    second: Option<std::time::Instant>,
    used: u32,
    held_back: u64,
}

impl Throttle {
    /// A throttle that lets `per_second` pass.
    pub const fn new(per_second: u32) -> Self {
        Self { per_second, second: None, used: 0, held_back: 0 }
    }

    /// Asks to pass now. If allowed, returns how many were held back since the last that passed.
    pub fn pass(&mut self, now: std::time::Instant) -> Option<u64> {
        let fresh = self.second.is_none_or(|second| now.saturating_duration_since(second) >= Duration::from_secs(1));
        if fresh {
            self.second = Some(now);
            self.used = 0;
        }
        if self.used == self.per_second {
            self.held_back += 1;
            return None;
        }
        self.used += 1;
        Some(std::mem::take(&mut self.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(log: impl FnOnce()) -> Vec<serde_json::Value> {
        let (sender, receiver) = bounded(8);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(LogLines::new(sender)), log);
        receiver.try_iter().map(|line| serde_json::from_slice(&line).unwrap()).collect()
    }

    #[test]
    fn a_line_has_time_level_message_and_then_the_fields() {
        let (sender, receiver) = bounded(8);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(LogLines::new(sender)), || {
            tracing::warn!(target: "sniffer_live", ports = ?[80, 81], rate = 0.5, name = "a\"b", "said {}", "so");
        });
        let line = String::from_utf8(receiver.recv().unwrap()).unwrap();
        let (head, tail) = line.split_once("Z\",").unwrap();
        assert!(
            head.starts_with("{\"timestamp\":\"20")
                && head.len() == "{\"timestamp\":\"2026-11-25T00:00:00.000000".len()
        );
        assert_eq!(
            tail,
            "\"level\":\"warn\",\"message\":\"said so\",\"ports\":[80,81],\"rate\":0.5,\"name\":\"a\\\"b\"}\n"
                .replace("[80,81]", "[80, 81]")
        );
    }

    #[test]
    fn only_our_own_events_from_info_up_are_written() {
        let written = lines(|| {
            tracing::info!(target: "hyper", "theirs");
            tracing::debug!(target: "sniffer_live", "too fine");
            tracing::info!(target: "sniffer_live", object = %r#"{"a":[1]}"#, text = %"[not json", "ours");
        });
        assert_eq!(written.len(), 1);
        assert_eq!(written[0]["object"], serde_json::json!({"a": [1]}));
        assert_eq!(written[0]["text"], "[not json");
    }

    #[test]
    fn lines_that_do_not_fit_are_counted_in_the_next_that_does() {
        let (sender, receiver) = bounded(1);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(LogLines::new(sender)), || {
            for number in 0..4 {
                tracing::info!(target: "sniffer_live", number, "line");
            }
            receiver.recv().unwrap();
            tracing::info!(target: "sniffer_live", "after");
        });
        let line: serde_json::Value = serde_json::from_slice(&receiver.recv().unwrap()).unwrap();
        assert_eq!(line["logLinesDropped"], 3);
    }

    #[test]
    fn a_throttle_lets_so_many_a_second_pass() {
        let start = std::time::Instant::now();
        let mut throttle = Throttle::new(2);
        let passed = [0, 1, 2, 3, 1000, 1001].map(|ms| throttle.pass(start + Duration::from_millis(ms)));
        assert_eq!(passed, [Some(0), Some(0), None, None, Some(2), Some(0)]);
    }
}
