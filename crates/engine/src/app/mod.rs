//! Which application protocol a connection speaks.

mod detect;

pub(crate) use detect::{Detected, detect, may_begin, starts_binary_preamble};
