//! Records of an API's journal, and the ids of its tasks.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lightbus_runtime::fuzzing::records(bytes));
