//! Tokens: parsed strictly, verified by configuration alone.

pub mod issuer;
