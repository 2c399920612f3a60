//! Capture files: any bytes, read at once and in pieces.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sniffer_fuzz::capture(data));
