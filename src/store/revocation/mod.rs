//! The log of revocations, in memory and in Redis. One suite of tests holds both to the same behaviour.

pub mod memory;
pub mod redis;

#[cfg(test)]
mod contract_tests;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod redis_tests;
