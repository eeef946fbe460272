//! `[brute_force]`: what guessing at passwords costs.

use super::shape::table;
use std::time::Duration;

table! {
    /// What happens after failed sign-ins.
    BruteForce {
        /// Failures without a block, for an account at an address; the next one begins it. A whole address has ten
        /// times as many.
        free: usize = 9,
        /// The first block; each further failure doubles it.
        block: Duration = "60s",
        /// The longest block.
        block_max: Duration = "1h",
    }
}
