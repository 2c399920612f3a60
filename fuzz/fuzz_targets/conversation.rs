//! Frames of a conversation through the whole engine.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sniffer_engine::fuzzing::conversation(data));
