//! Which application protocol a connection speaks.

mod detect;

pub(crate) use detect::{Found, detect, may_begin, starts_binary_preamble};
