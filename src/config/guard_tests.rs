//! What `[brute_force]` may say.

use super::*;
use crate::domain::failures::Schedule;

#[test]
fn nine_failures_are_free_when_nothing_is_said() {
    let (block, block_max) = (Duration::from_secs(60), Duration::from_secs(3600));
    assert_eq!(good("").brute_force, Schedule { free: 9, block, block_max });
    let told = good("[brute_force]\nfree = 3\nblock = \"10s\"\nblock_max = \"10s\"\n").brute_force;
    let block = Duration::from_secs(10);
    assert_eq!(told, Schedule { free: 3, block, block_max: block });
}

#[test]
fn a_protection_that_is_none_is_a_mistake() {
    for (keys, place) in [
        ("free = 0", "brute_force.free (line 2)"),
        ("free = 1001", "brute_force.free (line 2)"),
        ("free = -1", "brute_force.free (line 2)"),
        ("block = \"0s\"", "brute_force.block (line 2)"),
        ("block = \"2h\"", "brute_force.block (line 2)"),
        ("block_max = \"59s\"", "brute_force.block_max (line 2)"),
        ("block_max = \"25h\"", "brute_force.block_max (line 2)"),
    ] {
        let found = wrong(&format!("[brute_force]\n{keys}\n"));
        assert!(found.len() == 1 && found[0].starts_with(place), "{keys}: {found:#?}");
    }
}
