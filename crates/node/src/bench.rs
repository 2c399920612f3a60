//! Support for `bench/`: messages without a network, through the bridge and around it. Never in the
//! package.

use std::sync::Arc;
use std::thread;

use napi::bindgen_prelude::{Function, Unknown};
use napi::{Env, Error, Result};
use napi_derive::napi;
use sniffer_engine::config::Config;
use sniffer_engine::extract::Extractor;
use sniffer_engine::message::Message;
use sniffer_live::output::callback::feed;
use sniffer_testkit::talk::Talk;

use crate::bridge::{Bridge, Notify, Words};

/// Returns a message whose JSON has about this many bytes besides its head: a POST as browsers send
/// it.
fn message(body: u32) -> Option<Message> {
    let talk = format!(
        ">>>\n| POST /api/orders?page=2&sort=created HTTP/1.1\n| Host: shop.example\n| User-Agent: Mozilla/5.0 (X11; Linux \
         x86_64; rv:131.0) Gecko/20100101 Firefox/131.0\n| Accept: application/json\n| Content-Type: application/json\n\
         | Content-Length: {body}\n|\n| {{{body}*x}}\\\n"
    );
    let mut found = None;
    let mut extractor = Extractor::new(Config::default());
    for frame in Talk::parse(&talk).ok()?.frames().ok()? {
        extractor.push(&frame.as_frame(), &mut |message| found = Some(message.clone()));
    }
    extractor.finish(&mut |message| found = Some(message.clone()));
    found
}

fn made(body: u32) -> Result<Message> {
    message(body).ok_or_else(|| Error::from_reason("the conversation gives no message"))
}

/// A source of messages as fast as they are taken, over the bridge that sniffers use.
#[napi]
#[derive(Debug, Default)]
pub struct Feeder {
    bridge: Arc<Bridge>,
}

#[napi]
impl Feeder {
    /// A source that has sent nothing.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends this many messages with bodies of this size, then reports `ended`.
    #[napi]
    pub fn start(&self, count: u32, body: u32, notify: Function<'_, Words, ()>) -> Result<()> {
        let (message, notify, bridge) = (made(body)?, Notify::new(&notify)?, Arc::clone(&self.bridge));
        bridge.attach(notify.clone());
        thread::spawn(move || {
            let callback = Arc::clone(&bridge);
            feed(&message, count.into(), Arc::new(move |batch| callback.put(batch)));
            bridge.detach();
            notify.ended();
        });
        Ok(())
    }

    /// As for a sniffer.
    #[napi]
    pub fn take(&self) -> Option<String> {
        self.bridge.take()
    }

    /// As for a sniffer.
    #[napi]
    pub fn settle(&self, count: u32) -> bool {
        self.bridge.settle(count)
    }
}

/// Calls a function this many times with the same message, built through Node-API each time.
#[napi]
pub fn bare(env: Env, count: u32, body: u32, callback: Function<'_, Unknown<'_>, ()>) -> Result<()> {
    let message = made(body)?;
    for _ in 0..count {
        callback.call(env.to_js_value(&message)?)?;
    }
    Ok(())
}

/// Returns the JSON of such a message.
#[napi]
pub fn sample(body: u32) -> Result<String> {
    serde_json::to_string(&made(body)?).map_err(|error| Error::from_reason(error.to_string()))
}
