//! From a key to who the caller is.

use super::ApiKeys;
use crate::domain::api_key::{ApiKey, KeyId};
use crate::domain::denial::Denial;
use crate::domain::headers::identity::IdentityHeaders;
use crate::domain::principal::{AuthMethod, Principal};
use crate::domain::revocation::Position;
use crate::domain::time::UnixTime;
use crate::pipeline::cache::{CredentialCache, Verified};
use crate::pipeline::permit::Memory;
use serde_json::{json, Map, Value};
use std::sync::Arc;

/// What an API key can be revoked by, besides its user.
#[derive(Clone, Copy, Debug)]
pub struct KeyFacts {
    pub id: KeyId,
    /// Where the list of revocations stood when it was made.
    pub minted_at: Position,
}

impl ApiKeys {
    /// The caller with a key that is known here to be good; `None`: by what is known here it is none.
    ///
    /// # Errors
    /// 503: the keys were not heard of for too long.
    pub fn known(
        &self,
        text: &str,
        memory: (&CredentialCache, &IdentityHeaders),
        now: UnixTime,
    ) -> Result<Option<(Arc<Verified>, Memory)>, Denial> {
        let known = self.known.load();
        let seen = memory.0.find(text).filter(|seen| seen.generation == known.generation);
        if let Some(seen) = seen.filter(|seen| seen.principal.expires > now) {
            self.check_age(now)?;
            return Ok(Some((seen, Memory::Hit)));
        }
        let Ok(key) = known.find(text, now) else { return Ok(None) };
        self.check_age(now)?;
        Ok(Some((self.verified(text, (key, known.generation), memory), Memory::Miss)))
    }

    /// The caller with a key that is not known here, after another look where that may help.
    ///
    /// # Errors
    /// 401: it is none. 503: that cannot be told.
    pub async fn seek(
        &self,
        text: &str,
        memory: (&CredentialCache, &IdentityHeaders),
        now: UnixTime,
    ) -> Result<Arc<Verified>, Denial> {
        let (key, generation) = self.find(text, now).await?;
        Ok(self.verified(text, (&key, generation), memory))
    }

    fn verified(
        &self,
        text: &str,
        (key, generation): (&ApiKey, u64),
        (cache, identity): (&CredentialCache, &IdentityHeaders),
    ) -> Arc<Verified> {
        let principal = self.principal(key);
        let identity = identity.values(&principal);
        let facts = KeyFacts { id: key.id, minted_at: key.minted_at };
        let verified = Verified::new(text, principal, identity).by(usize::MAX, generation).of_key(facts);
        let verified = Arc::new(verified);
        cache.remember(Arc::clone(&verified));
        verified
    }

    /// Its claims are those of a token that says the same; the key is the client.
    fn principal(&self, key: &ApiKey) -> Principal {
        let mut claims = Map::new();
        let mut say = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        say("sub", key.subject.as_str().into());
        say("client_id", key.id.as_str().into());
        say("name", key.name.as_str().into());
        say("roles", json!(key.roles));
        say("scope", key.scopes.join(" ").into());
        say("iat", key.created.0.into());
        if let Some(expires) = key.expires {
            say("exp", expires.0.into());
        }
        Principal {
            source: self.source.clone(),
            subject: key.subject.clone(),
            method: AuthMethod::ApiKey,
            roles: key.roles.clone(),
            scopes: key.scopes.clone(),
            claims,
            email_trusted: false,
            expires: key.expires.unwrap_or(UnixTime(u64::MAX)),
        }
    }
}
