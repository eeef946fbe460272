//! The log of revocations, in memory and in Redis: one suite of tests holds both to the same behaviour. And the list
//! on disk.

pub mod memory;
pub mod redis;
pub mod shelf;

#[cfg(test)]
mod contract_tests;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod redis_tests;
