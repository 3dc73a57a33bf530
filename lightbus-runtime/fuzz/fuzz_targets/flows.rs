//! What follows a task, and what is told of groups of them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lightbus_runtime::fuzzing::flows(bytes));
