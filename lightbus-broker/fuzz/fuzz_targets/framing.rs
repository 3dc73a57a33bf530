//! Cutting frames out of what was read.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lightbus_broker::fuzzing::framing(bytes));
