//! TCP segments, compared with a byte map.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sniffer_engine::fuzzing::tcp(data));
