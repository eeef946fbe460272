//! What a session says of its user, as it lies in the store: sealed, and bound to the session it belongs to.

use crate::domain::denial::{Code, Denial};
use crate::domain::oidc::Identity;
use crate::domain::revocation::Position;
use crate::domain::seal::{CannotSeal, Purpose, Seals};
use crate::domain::secret::Secret;
use crate::domain::session::{SessionId, UserHash};
use crate::domain::time::UnixTime;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// The body of a session. It holds tokens of the provider, so it is never printed.
#[derive(Clone, Serialize, Deserialize)]
pub struct Record {
    /// The configured name of the provider.
    pub provider: String,
    pub subject: String,
    /// About the user, under our names; `roles` among them.
    pub claims: Map<String, Value>,
    pub roles: Vec<String>,
    pub email: Option<String>,
    pub email_verified: bool,
    pub name: Option<String>,
    pub acr: Option<String>,
    pub amr: Vec<String>,
    /// When the user proved who they are.
    pub auth_time: u64,
    /// When the claims were last read from the provider.
    pub claims_at: u64,
    /// The device that signed in: component hashes, and words for people.
    pub dfp: String,
    pub device: String,
    /// As people are shown it: the first parts of the address only.
    pub place: String,
    pub provider_tokens: Option<ProviderTokens>,
    /// Where the revocations stood when the session began; what is revoked "before now" later than that hits it.
    #[serde(default)]
    pub revocations_at: Option<String>,
}

/// What the provider gave us for the user.
#[derive(Clone, Serialize, Deserialize)]
pub struct ProviderTokens {
    pub refresh: Option<String>,
    /// The refresh token was shown to the provider, and nobody knows what came of it.
    #[serde(default)]
    pub shown: bool,
    /// For RP-initiated logout.
    pub id_token: Option<String>,
}

impl Record {
    /// Takes over what the provider says of the user now.
    pub fn learn(&mut self, identity: &Identity, trust_email: bool, now: UnixTime) {
        self.claims.clone_from(&identity.claims);
        self.roles.clone_from(&identity.roles);
        self.email.clone_from(&identity.email);
        self.email_verified = identity.email_verified || trust_email;
        self.name.clone_from(&identity.name);
        self.claims_at = now.0;
    }

    /// Whether there is nothing to learn.
    #[must_use]
    pub fn agrees_with(&self, identity: &Identity) -> bool {
        let said = (&identity.claims, &identity.roles, &identity.email, &identity.name);
        (&self.claims, &self.roles, &self.email, &self.name) == said
    }

    /// Where the list of revocations stood at the sign-in.
    #[must_use]
    pub fn revocations_at(&self) -> Option<Position> {
        self.revocations_at.as_ref()?.parse().ok()
    }

    /// # Errors
    /// [`CannotSeal`], which is not known to happen.
    pub fn seal(&self, seals: &Seals, place: Place, nonce: [u8; 12]) -> Result<Vec<u8>, CannotSeal> {
        let plain = Secret::new(serde_json::to_vec(self).map_err(|_| CannotSeal)?);
        seals.of_record(Purpose::Session, place.id.as_bytes())?.seal(&place.aad(), nonce, plain.expose())
    }

    /// # Errors
    /// [`Unopened`]
    pub fn open(seals: &Seals, place: Place, sealed: &[u8]) -> Result<Self, Unopened> {
        let seals = seals.of_record(Purpose::Session, place.id.as_bytes()).map_err(|_| Unopened)?;
        let plain = seals.open(&place.aad(), sealed).ok_or(Unopened)?;
        serde_json::from_slice(plain.expose()).map_err(|_| Unopened)
    }
}

/// A record that is there, and none of our secrets sealed it for this very session. Whoever asked showed a token or a
/// handle that we made, so this is no word on the session: a replica that has its secret opens it, and if it is damaged
/// its time ends it. Signing somebody out for it would make a misconfigured replica end the sessions of all the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record of a session cannot be opened: a store.secret that is missing here sealed it, or it is damaged")]
pub struct Unopened;

impl From<Unopened> for Denial {
    fn from(unopened: Unopened) -> Self {
        Self::new(Code::StoreUnavailable, unopened.to_string())
    }
}

/// Whose session it is, and which: a body copied elsewhere does not open.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub user: UserHash,
    pub id: SessionId,
}

impl Place {
    fn aad(&self) -> Vec<u8> {
        [self.user.as_bytes().as_slice(), self.id.as_bytes()].concat()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl fmt::Debug for ProviderTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderTokens(..)")
    }
}
