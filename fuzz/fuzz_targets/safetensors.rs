#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chimle_fuzz::safetensors(bytes));
