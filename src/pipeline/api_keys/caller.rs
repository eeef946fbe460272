//! From a key to who the caller is.

use super::ApiKeys;
use crate::domain::api_key::{ApiKey, KeyId};
use crate::domain::denial::{Code, Denial};
use crate::domain::headers::identity::IdentityHeaders;
use crate::domain::principal::{AuthMethod, Principal};
use crate::domain::revocation::Position;
use crate::domain::time::UnixTime;
use crate::pipeline::cache::{CredentialCache, Verified};
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
    /// The caller whose key is remembered in `cache`, and still counts.
    ///
    /// # Errors
    /// 401: it has expired. 503: the keys were not heard of for too long.
    pub fn remembered(
        &self,
        text: &str,
        cache: &CredentialCache,
        now: UnixTime,
    ) -> Result<Option<Arc<Verified>>, Denial> {
        let Some(seen) = cache.find(text).filter(|seen| seen.generation == self.generation()) else { return Ok(None) };
        self.check_age(now)?;
        if seen.principal.expires <= now {
            cache.forget(&seen);
            return Err(Denial::new(Code::ApiKeyInvalid, "it has expired since it was last seen"));
        }
        Ok(Some(seen))
    }

    /// The caller with this key, who is remembered from now on.
    ///
    /// # Errors
    /// 401: it is none. 503: that cannot be told.
    pub async fn caller(
        &self,
        text: &str,
        (cache, identity): (&CredentialCache, &IdentityHeaders),
        now: UnixTime,
    ) -> Result<Arc<Verified>, Denial> {
        let (key, generation) = self.find(text, now).await?;
        let facts = KeyFacts { id: key.id, minted_at: key.minted_at };
        let principal = self.principal(key);
        let identity = identity.values(&principal);
        let verified = Verified::new(text, principal, identity).by(usize::MAX, generation).of_key(facts);
        let verified = Arc::new(verified);
        cache.remember(Arc::clone(&verified));
        Ok(verified)
    }

    /// Its claims are those of a token that says the same; the key is the client.
    fn principal(&self, key: ApiKey) -> Principal {
        let mut claims = Map::new();
        let mut say = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        say("sub", key.subject.as_str().into());
        say("client_id", key.id.as_str().into());
        say("name", key.name.into());
        say("roles", json!(key.roles));
        say("scope", key.scopes.join(" ").into());
        say("iat", key.created.0.into());
        if let Some(expires) = key.expires {
            say("exp", expires.0.into());
        }
        Principal {
            source: self.source.clone(),
            subject: key.subject,
            method: AuthMethod::ApiKey,
            roles: key.roles,
            scopes: key.scopes,
            claims,
            email_trusted: false,
            expires: key.expires.unwrap_or(UnixTime(u64::MAX)),
        }
    }
}
