#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| certvigil_core::fuzzing::keystore(data));
