//! What Doorward knows, as values: no I/O, no clock, no randomness, no async, no Pingora, no Redis.

pub mod credential;
pub mod denial;
pub mod headers;
pub mod network;
pub mod policy;
pub mod principal;
pub mod request;
pub mod revocation;
pub mod secret;
pub mod time;
pub mod token;
