//! From the thread that hands out messages to JavaScript's: one batch waits, one is in hand.
//!
//! ```text
//!  put ──▶ waiting ──take──▶ in hand ──settle──▶ gone
//!  waits while one waits     JavaScript calls the callback, so many messages at a time
//! ```
//!
//! All other messages stay in the output's queue, which is bounded and counts what it drops; so a slow callback costs one
//! batch of JSON beside it. `put` is the only one that waits, and it never outlives a run or its environment. Next:
//! `sniffer_live::output`, whose batches these are.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::{FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Result, Status};
use serde_json::json;
use sniffer_live::StartError;
use sniffer_live::output::MessageBatch;

/// What JavaScript is told: what happened, and its particulars as JSON.
pub(crate) type Words = FnArgs<(&'static str, String)>;

/// Weak: what keeps the event loop alive is decided in JavaScript.
type Threadsafe = ThreadsafeFunction<Words, (), Words, Status, false, true>;

/// Tells JavaScript something; from any thread, without waiting.
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

    /// Whether there is an environment to tell.
    fn call(&self, what: &'static str, particulars: String) -> bool {
        self.0.call((what, particulars).into(), ThreadsafeFunctionCallMode::NonBlocking) == Status::Ok
    }
}

/// Where batches cross over.
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
    /// Runs that have ended: whoever waits to put something must know that its run is over.
    runs: u64,
    closed: bool,
}

impl Bridge {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run is JavaScript's to know.
    pub(crate) fn attach(&self, notify: Notify) {
        let mut inner = self.lock();
        if inner.waiting.is_some() {
            notify.ready();
        }
        inner.notify = Some(notify);
    }

    /// The run is over: what is here was given up by its queue.
    pub(crate) fn detach(&self) {
        let mut inner = self.lock();
        (inner.waiting, inner.in_hand, inner.notify) = (None, None, None);
        inner.runs += 1;
        self.taken.notify_all();
    }

    /// The environment is gone.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.detach();
    }

    /// Hands over a batch, once the one before was taken.
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

    /// Takes what waits; what was in hand before is done with.
    pub(crate) fn take(&self) -> Option<String> {
        let mut inner = self.lock();
        let (json, batch) = inner.waiting.take()?;
        inner.in_hand = Some(batch);
        self.taken.notify_all();
        Some(json)
    }

    /// So many of those in hand are done with; whether the others are still wanted.
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

/// The messages as the JSON of a list. Read by `JSON.parse`, which makes own properties of all names, `__proto__` too, and
/// was faster than building objects through Node-API (`bench/`).
fn json_list(batch: &MessageBatch) -> String {
    let mut text = Vec::new();
    for message in batch.messages() {
        text.push(if text.is_empty() { b'[' } else { b',' });
        message.write_line(&mut text);
    }
    text.push(b']');
    String::from_utf8(text).expect("JSON is UTF-8")
}
