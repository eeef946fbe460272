//! Tokens: parsed strictly, verified by configuration alone.
//!
//! [`jose`] reads the shape, [`keys`] holds what signatures are checked with, [`verify`] decides whether to believe,
//! and [`claims`] turns what is believed into a [`Principal`](super::principal::Principal).

pub mod claims;
pub mod issuer;
pub mod jose;
pub mod json;
pub mod keys;
pub mod verify;

#[cfg(test)]
mod attack_tests;
#[cfg(test)]
pub(crate) mod fixture;
