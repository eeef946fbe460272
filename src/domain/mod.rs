//! What Doorward knows, as values: no I/O, no clock, no randomness, no async, no Pingora, no Redis.

pub mod cookies;
pub mod credential;
pub mod csrf;
pub mod denial;
pub mod device;
pub mod failures;
pub mod family;
pub mod headers;
pub mod limit;
pub mod navigation;
pub mod network;
pub mod oidc;
pub mod operators;
pub mod origins;
pub mod policy;
pub mod principal;
pub mod request;
pub mod return_to;
pub mod revocation;
pub mod seal;
pub mod secret;
pub mod session;
pub mod signing;
pub mod time;
pub mod token;
pub mod users;
