//! Properties of messages, as their receivers read them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lightbus_runtime::fuzzing::properties(bytes));
