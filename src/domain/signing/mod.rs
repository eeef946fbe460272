//! Our own tokens: the keys that sign them, when those keys change, and what others are told about them.
//!
//! [`ring`] is the life of the keys as arithmetic on values, [`key`] one key, [`access_token`] what is signed, [`jwe`] its
//! claims where nobody else is to read them, [`own`] how our own tokens are read back, [`jwks`] and [`metadata`] the
//! documents others verify us by. Where keys come from and where they are kept is the business of `pipeline::keys`.

pub mod access_token;
pub mod document;
mod join;
pub mod jwe;
pub mod jwks;
pub mod key;
pub mod metadata;
pub mod own;
pub mod ring;

pub use access_token::AccessToken;
pub use key::{Algorithm, FreshKey, Signer};
pub use ring::{Change, Mode, Ring, Schedule};

#[cfg(test)]
pub(crate) mod fixture;
