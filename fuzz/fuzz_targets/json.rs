//! Messages as JSON, against the schema.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sniffer_engine::fuzzing::json(data));
