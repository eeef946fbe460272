//! One `[[provider]]` of kind `oidc`: where people sign in, and who we are there.

use crate::domain::principal::SourceName;
use crate::domain::secret::Secret;
use std::path::PathBuf;

#[derive(Clone, Debug)]
pub struct ProviderSettings {
    pub name: SourceName,
    /// The exact `iss`; discovery starts from it.
    pub issuer: String,
    pub client_id: String,
    /// `None` or empty: a public client, which proves itself by PKCE alone.
    pub client_secret: Option<Secret>,
    /// `openid` is sent whether it stands here or not.
    pub scopes: Vec<String>,
    /// Where its roles are found: a claim of just that name, or a path of names with dots between.
    pub roles_claim: String,
    /// PEM file with the CA of the provider; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// Claims are read from the UserInfo endpoint too.
    pub userinfo: bool,
    /// Its `email` may be shown to backends without `email_verified`.
    pub trust_email: bool,
}

impl ProviderSettings {
    #[must_use]
    pub fn secret(&self) -> Option<&Secret> {
        self.client_secret.as_ref().filter(|secret| !secret.expose().is_empty())
    }

    /// Whether a reload may keep what was made of these settings.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let secrets = match (self.secret(), other.secret()) {
            (Some(one), Some(two)) => one.matches(two.expose()),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        // every field by name: a new one does not compile until somebody has thought about it here
        let Self { name, issuer, client_id, client_secret: _, scopes, roles_claim, ca, userinfo, trust_email } = self;
        secrets
            && (name, issuer, client_id, scopes) == (&other.name, &other.issuer, &other.client_id, &other.scopes)
            && (roles_claim, ca) == (&other.roles_claim, &other.ca)
            && (userinfo, trust_email) == (&other.userinfo, &other.trust_email)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::settings;
    use super::*;

    #[test]
    fn a_changed_secret_makes_other_settings() {
        let mut other = settings();
        assert!(other.is_same(&settings()));
        other.client_secret = Some(Secret::new(b"rotated".to_vec()));
        assert!(!other.is_same(&settings()));
    }

    #[test]
    fn an_empty_secret_is_none() {
        let mut public = settings();
        public.client_secret = Some(Secret::new(Vec::new()));
        assert!(public.secret().is_none());
        let none = ProviderSettings { client_secret: None, ..settings() };
        assert!(public.is_same(&none));
    }

    #[test]
    fn debug_output_never_shows_the_secret() {
        assert!(!format!("{:?}", settings()).contains("s3cret"));
    }
}
