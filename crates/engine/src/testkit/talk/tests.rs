//! Conversations in, frames out, in short tables.
