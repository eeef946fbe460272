//! What we ask of others: one HTTP client with its limits, discovery, and the keys of issuers kept fresh.
//!
//! Everything here runs off the request path. A request reads [`keyring::Keyring::current`] from memory; the only thing
//! it ever waits for is one shared look at fresh keys, when a token names a key nobody has seen.

pub mod bot;
pub mod client;
pub mod discovery;
pub mod keyring;
pub mod provider;
mod source;

#[cfg(test)]
mod server;
#[cfg(test)]
mod world_tests;
