//! Conversations as text, parsed, written and parsed again.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sniffer_engine::fuzzing::talk(data));
