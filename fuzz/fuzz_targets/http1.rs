//! HTTP/1 streams, whole and in pieces.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sniffer_engine::fuzzing::http1(data));
