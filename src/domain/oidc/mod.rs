//! The relying party's side of OpenID Connect: what is asked of a provider, and what of its answer may be believed.
//!
//! A sign-in walks through here as values: [`Attempt`] → [`authorise::authorization_url`] → [`Callback`] →
//! [`IdToken`] → [`Identity`]. Talking to the provider is for others (`ports::provider`).

pub mod attempt;
pub mod authorise;
pub mod callback;
pub mod id_token;
pub mod identity;
pub mod logout;
pub mod metadata;
pub mod settings;
pub mod unguessable;

pub use attempt::Attempt;
pub use callback::Callback;
pub use id_token::IdToken;
pub use identity::Identity;
pub use logout::LogoutToken;
pub use metadata::Metadata;
pub use settings::ProviderSettings;

use std::time::Duration;

/// How far a provider's clock may be from ours before its tokens are refused.
const CLOCK_SKEW: Duration = Duration::from_secs(120);

#[cfg(test)]
pub(crate) mod fixture;
