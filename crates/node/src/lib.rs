//! The native half of the npm package `tcp-sniffer`: a thin layer over `sniffer-live`.
//!
//! ```text
//! JavaScript's thread      create ── start ── take, settle … ── request_stop
//!                                      ▲          ▲
//!                       started, ended │          │ ready
//! a thread a run      open, wait ──────┘          │
//! thread of callbacks                 messages to JSON, one batch waits ([`bridge`])
//! ```
//!
//! **Nothing here ever waits on JavaScript's thread, and JavaScript is called only through the
//! run's one weak threadsafe function**, which is dead once its environment (the process, a worker)
//! is. This crate has no rules about values, messages or runs: those are in `sniffer-live`. `ts/`
//! builds the public interface on it. Next: [`bridge`].

#[cfg(feature = "bench")]
pub mod bench;
mod bridge;
pub mod log;

use std::sync::Arc;
use std::thread;

use napi::bindgen_prelude::{Either, Function};
use napi::{Error, Result};
use napi_derive::napi;
use serde_json::Value;
use sniffer_live::config::{ConfigField, Values};
use sniffer_live::sniffer::Extras;
use sniffer_live::{LiveConfig, Sniffer};

use bridge::{Bridge, Notify, Words};

/// A sniffer for JavaScript.
#[napi]
#[derive(Debug)]
pub struct Native {
    sniffer: Arc<Sniffer>,
    bridge: Arc<Bridge>,
}

/// Why a configuration was refused.
#[napi(object)]
#[derive(Debug)]
pub struct Refusal {
    /// Name of the field.
    pub field: String,
    /// A sentence about it.
    pub message: String,
}

/// Returns the names of the fields that the configuration knows; `onHttpMessage` is known only to
/// JavaScript.
#[napi]
pub fn fields() -> Vec<&'static str> {
    ConfigField::ALL.iter().map(|field| field.name()).collect()
}

/// Makes a sniffer with this configuration, or returns why it was refused. `values` is the JSON of
/// a list of `[name, value]`; `environment` looks up a variable as this JavaScript environment sees
/// it.
#[napi]
pub fn create(
    values: String,
    with_callback: bool,
    environment: Function<'_, String, Option<String>>,
) -> Result<Either<Native, Refusal>> {
    log::begin();
    let pairs: Vec<(String, Value)> =
        serde_json::from_str(&values).map_err(|error| Error::from_reason(format!("not a list of pairs: {error}")))?;
    let mut values = Values::default();
    for (name, value) in pairs {
        values.set_value(&name, value);
    }
    let config = match LiveConfig::new(&values, &|name| environment.call(name.to_owned()).ok().flatten()) {
        Ok(config) => config,
        Err(error) => return Ok(Either::B(Refusal { field: error.field, message: error.message })),
    };
    let bridge = Arc::new(Bridge::default());
    let mut extras = Extras::default();
    if with_callback {
        let bridge = Arc::clone(&bridge);
        extras.callback = Some(Arc::new(move |batch| bridge.put(batch)));
    }
    Ok(Either::A(Native { sniffer: Arc::new(Sniffer::new(config, extras)), bridge }))
}

#[napi]
impl Native {
    /// Opens the capture in a thread of its own, which reports `started`, or `refused` with the
    /// reason as JSON, and `ended` when the run is over. In between, `ready` reports that there are
    /// messages to take.
    #[napi]
    pub fn start(&self, notify: Function<'_, Words, ()>) -> Result<()> {
        let notify = Notify::new(&notify)?;
        let (sniffer, bridge) = (Arc::clone(&self.sniffer), Arc::clone(&self.bridge));
        let run = move || {
            if let Err(error) = sniffer.start() {
                log::refused(&error);
                return notify.refused(&error);
            }
            notify.started();
            bridge.attach(notify.clone());
            sniffer.wait();
            bridge.detach();
            // The process may end as soon as JavaScript gets the event.
            log::flush();
            notify.ended();
        };
        thread::Builder::new()
            .name("sniffer-life".to_owned())
            .spawn(run)
            .map(drop)
            .map_err(|error| Error::from_reason(format!("cannot start a thread: {error}")))
    }

    /// Requests a stop; `ended` follows. Must not be called before `started`, because it would wait
    /// for it.
    #[napi]
    pub fn request_stop(&self) {
        self.sniffer.request_stop();
    }

    /// Returns whether it captures.
    #[napi]
    pub fn is_running(&self) -> bool {
        self.sniffer.is_running()
    }

    /// Takes the messages that wait, as the JSON of a list. They are in hand until they are
    /// settled.
    #[napi]
    pub fn take(&self) -> Option<String> {
        self.bridge.take()
    }

    /// Settles the first messages in hand. Returns whether the others are still wanted.
    #[napi]
    pub fn settle(&self, count: u32) -> bool {
        self.bridge.settle(count)
    }
}

impl Drop for Native {
    /// JavaScript keeps a running sniffer, so its environment is gone.
    fn drop(&mut self) {
        self.bridge.close();
        self.sniffer.request_stop();
    }
}
