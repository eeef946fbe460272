//! What operators see: metrics, the access and audit logs, and the program's own messages.
//!
//! Most of it runs once a request on every thread at the same time. So nothing here takes a lock that all threads
//! share, allocates in the steady state or goes through `core::fmt`; the work is left to the scrape and to one
//! writer thread.

pub mod access;
pub mod audit;
pub mod clock;
pub mod counter;
pub mod family;
pub mod journal;
mod json;
pub mod log;
pub mod metrics;
pub mod revocations;
pub mod route;
pub mod sessions;
mod shard;
pub mod sink;
pub mod store;
