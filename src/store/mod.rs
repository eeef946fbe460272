//! The stores: what replicas share, in memory for one process and in Redis for many.

pub mod revocation;
