//! Several connections at once that mostly speak the protocol.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lightbus_broker::fuzzing::session(bytes));
