//! The keys that can be had without a network, and desks that need none.

use crate::config::settings::{IssuerSettings, KeyOrigin};
use crate::domain::secret::Secret;
use crate::domain::token::issuer::Issuer;
use crate::domain::token::keys::KeySet;
use crate::pipeline::Desk;
use crate::ports::{KeySource, Keys, Looked};
use async_trait::async_trait;
use jsonwebtoken::Algorithm;
use std::sync::Arc;

/// Where the tokens of an issuer are checked offline; without keys where they would have to be fetched.
///
/// # Errors
/// In words: a key file that was there a moment ago.
pub(super) fn desk(settings: &IssuerSettings) -> Result<Desk, String> {
    let (set, more) = match &settings.keys {
        KeyOrigin::Shared(secret) => (KeySet::from_secret(secret), Looked::Unknown),
        KeyOrigin::JwksFile(path) => {
            let problem = |why: String| format!("{}: {why}", path.display());
            let document = std::fs::read(path).map_err(|error| problem(error.to_string()))?;
            (KeySet::from_jwks(&document).map_err(|error| problem(error.to_string()))?, Looked::Unknown)
        }
        KeyOrigin::Discovery(_) | KeyOrigin::JwksUrl(..) => (KeySet::default(), Looked::CannotTell),
    };
    Ok(Desk { terms: Arc::clone(&settings.issuer), keys: Arc::new(Shelf { keys: shelved(set), more }) })
}

/// Same terms but for the signature.
pub(super) fn believing_desk(settings: &IssuerSettings, stand_in: &Secret) -> Desk {
    let terms = Issuer { algorithms: vec![Algorithm::HS256], ..Issuer::clone(&settings.issuer) };
    let keys = shelved(KeySet::from_secret(stand_in));
    Desk { terms: Arc::new(terms), keys: Arc::new(Shelf { keys, more: Looked::Unknown }) }
}

fn shelved(set: KeySet) -> Arc<Keys> {
    Arc::new(Keys { set, generation: 1 })
}

/// Keys that nobody renews.
#[derive(Debug)]
struct Shelf {
    keys: Arc<Keys>,
    more: Looked,
}

#[async_trait]
impl KeySource for Shelf {
    fn current(&self) -> Arc<Keys> {
        Arc::clone(&self.keys)
    }

    fn generation(&self) -> u64 {
        self.keys.generation
    }

    async fn look_for_new_keys(&self, _: u64) -> Looked {
        self.more
    }
}
