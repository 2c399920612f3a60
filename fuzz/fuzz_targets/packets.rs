//! Link layer, tunnels, IP, defragmentation.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sniffer_engine::fuzzing::packets(data));
