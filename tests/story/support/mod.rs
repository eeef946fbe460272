//! The stage: a gate, backends, an issuer, and clients that send exactly the bytes they are given.

pub(crate) mod backend;
pub(crate) mod client;
pub(crate) mod frames;
pub(crate) mod gate;
pub(crate) mod golden;
pub(crate) mod h2;
pub(crate) mod issuer;
pub(crate) mod lines;
pub(crate) mod played;
pub(crate) mod seen;
pub(crate) mod tls;

use std::time::Duration;

/// After this long whatever is waited for does not come. Far beyond what anything takes, even on a starved machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
