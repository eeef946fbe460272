//! Whatever the file says, it becomes settings or a list of mistakes: no panic, no hang, no unbounded memory.

#![no_main]

use doorward::config::{from_text, Secrets, World};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|text: &str| {
    // no variable and, from a directory that is not there, no relative file
    let world = World { env: &|_| None, secrets: Secrets::Literal };
    if let Err(mistakes) = from_text(text, Path::new("/nonexistent"), &world) {
        assert!(!mistakes.is_empty(), "refused without a reason");
        assert!(!mistakes.to_string().is_empty());
    }
});
