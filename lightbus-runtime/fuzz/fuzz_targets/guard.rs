//! A broker's stream, as it is read before lapin reads it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lightbus_runtime::fuzzing::guard(bytes));
