//! Batches of messages from the callback thread to JavaScript's: one batch waits, one is in hand.
//!
//! ```text
//!  put ──▶ waiting ──take──▶ in hand ──settle──▶ gone
//!  waits while one waits     JavaScript calls the callback, so many messages at a time
//! ```
//!
//! All other messages stay in the output's queue, which is bounded and counts what it drops. So a
//! slow callback costs one batch of JSON besides it. Only `put` waits, and never longer than its
//! run and its environment last. Next: `sniffer_live::output`, which makes the batches.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::{FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Result, Status};
use serde_json::json;
use sniffer_live::StartError;
use sniffer_live::output::MessageBatch;

/// An event for JavaScript: its name, and its details as JSON.
pub(crate) type Words = FnArgs<(&'static str, String)>;

/// Weak: JavaScript decides what keeps the event loop alive.
type Threadsafe = ThreadsafeFunction<Words, (), Words, Status, false, true>;

/// Sends JavaScript an event, from any thread, without waiting.
#[derive(Clone)]
pub(crate) struct Notify(Arc<Threadsafe>);

impl Notify {
    pub(crate) fn new(function: &Function<'_, Words, ()>) -> Result<Self> {
        let builder = function.build_threadsafe_function::<Words>();
        Ok(Self(Arc::new(builder.weak::<true>().callee_handled::<false>().build()?)))
    }

    pub(crate) fn started(&self) {
        self.call("started", String::new());
    }

    pub(crate) fn refused(&self, error: &StartError) {
        let known = match error {
            StartError::InterfaceNotFound { known, .. } => Some(known),
            _ => None,
        };
        let particulars =
            json!({"code": error.code(), "message": error.to_string(), "remedy": error.remedy(), "interfaces": known});
        self.call("refused", particulars.to_string());
    }

    pub(crate) fn ended(&self) {
        self.call("ended", String::new());
    }

    fn ready(&self) -> bool {
        self.call("ready", String::new())
    }

    /// Returns whether there is an environment that takes events.
    fn call(&self, what: &'static str, particulars: String) -> bool {
        self.0.call((what, particulars).into(), ThreadsafeFunctionCallMode::NonBlocking) == Status::Ok
    }
}

/// The bridge that batches cross.
#[derive(Default)]
pub(crate) struct Bridge {
    inner: Mutex<Inner>,
    taken: Condvar,
}

#[derive(Default)]
struct Inner {
    waiting: Option<(String, MessageBatch)>,
    in_hand: Option<MessageBatch>,
    notify: Option<Notify>,
    /// Number of runs that have ended. A thread that waits to put a batch must learn that its run
    /// is over.
    runs: u64,
    closed: bool,
}

impl Bridge {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a run.
    pub(crate) fn attach(&self, notify: Notify) {
        let mut inner = self.lock();
        if inner.waiting.is_some() {
            notify.ready();
        }
        inner.notify = Some(notify);
    }

    /// Ends a run: the queue has abandoned the messages that are here.
    pub(crate) fn detach(&self) {
        let mut inner = self.lock();
        (inner.waiting, inner.in_hand, inner.notify) = (None, None, None);
        inner.runs += 1;
        self.taken.notify_all();
    }

    /// Ends everything, because the environment is gone.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.detach();
    }

    /// Puts a batch, once the one before was taken.
    pub(crate) fn put(&self, batch: MessageBatch) {
        let json = json_list(&batch);
        let mut inner = self.lock();
        let run = inner.runs;
        while inner.waiting.is_some() && inner.runs == run {
            inner = self.taken.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        if inner.runs != run || inner.closed {
            return batch.dropped();
        }
        if inner.notify.as_ref().is_none_or(Notify::ready) {
            inner.waiting = Some((json, batch));
        } else {
            batch.dropped();
        }
    }

    /// Takes the batch that waits. Drops the batch that was in hand.
    pub(crate) fn take(&self) -> Option<String> {
        let mut inner = self.lock();
        let (json, batch) = inner.waiting.take()?;
        inner.in_hand = Some(batch);
        self.taken.notify_all();
        Some(json)
    }

    /// Settles the first messages in hand. Returns whether the others are still wanted.
    pub(crate) fn settle(&self, count: u32) -> bool {
        let mut inner = self.lock();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        inner.in_hand.as_mut().is_some_and(|batch| batch.delivered_first(count))
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge").finish_non_exhaustive()
    }
}

/// Returns the messages as the JSON of a list. `JSON.parse` makes own properties of all names,
/// `__proto__` too, and is faster than building objects through Node-API. hot: see NOTES#json-parse
fn json_list(batch: &MessageBatch) -> String {
    let mut text = Vec::new();
    for message in batch.messages() {
        text.push(if text.is_empty() { b'[' } else { b',' });
        message.write_line(&mut text);
    }
    text.push(b']');
    String::from_utf8(text).expect("JSON is UTF-8")
}
