//! Frames in, HTTP messages out. **Time comes in with every call and never goes back; an event borrows the frame and
//! dies with the call; `finish` comes last.**
#![forbid(unsafe_code)]

pub mod decode;
pub mod frame;
pub mod key;
pub mod seq;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod time;
