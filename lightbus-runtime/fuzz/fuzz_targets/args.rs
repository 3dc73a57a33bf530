//! Arguments of calls.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lightbus_runtime::fuzzing::args(bytes));
