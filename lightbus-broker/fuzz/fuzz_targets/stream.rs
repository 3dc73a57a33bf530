//! Arbitrary bytes on an open connection, and on one that has yet to log in.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lightbus_broker::fuzzing::stream(bytes));
