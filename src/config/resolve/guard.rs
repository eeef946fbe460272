//! `[brute_force]`.

use crate::config::include::Findings;
use crate::config::raw::guard as raw;
use crate::domain::failures::{Schedule, MEMORY};

pub(super) fn brute_force(raw: &raw::BruteForce, findings: &mut Findings) -> Option<Schedule> {
    let (free, block, block_max) = (raw.free.value, raw.block.value, raw.block_max.value);
    if free == Some(0) {
        findings.mistake(&raw.free.place, "is 0: everybody would be blocked by their first slip; write 1 or more");
    }
    if free.is_some_and(|free| free > 1_000) {
        findings.mistake(&raw.free.place, "is above 1000: that is no bound for somebody who guesses");
    }
    if block.is_some_and(|block| block.is_zero()) {
        findings.mistake(&raw.block.place, "is no time: nobody would ever be blocked");
    }
    if block_max.is_some_and(|most| most > MEMORY) {
        findings.mistake(&raw.block_max.place, "is longer than a day, after which failures are forgotten");
    }
    if block_max < block {
        // only one of the two may have been typed
        let place = if raw.block_max.is_given() { &raw.block_max.place } else { &raw.block.place };
        findings.mistake(place, "the first block is longer than block_max, the longest");
    }
    Some(Schedule { free: u32::try_from(free?).ok()?, block: block?, block_max: block_max? })
}
