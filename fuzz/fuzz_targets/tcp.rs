//! TCP segments, beside a byte map.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sniffer_engine::fuzzing::tcp(data));
