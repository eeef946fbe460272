//! `[[provider]]` and `[pages]`: who signs people in, and what they see of it.

use super::shape::{table, List};
use super::value::{not_literal, words, FilePath, FromText, Name};
use crate::config::reading::Reading;
use crate::config::secrets::Text;
use crate::domain::secret::Secret;
use serde_json::Value as Json;

table! {
    /// Who signs people in: an OpenID provider, or a file of local users.
    Provider {
        /// What routes, headers, logs and the callback URL call it.
        name: Name,
        /// "oidc" or "local".
        kind: Kind,
        /// oidc: the exact issuer, as its discovery document spells it.
        issuer: String,
        /// oidc: what the provider calls this gate.
        client_id: String,
        /// oidc: "env:NAME" or "file:/path"; left out, the gate is a public client.
        client_secret: ClientSecret,
        /// oidc: what is asked for; "openid" must be among it.
        scopes: List<String> = ["openid", "profile", "email", "offline_access"],
        /// oidc: where roles stand in the id_token or in userinfo, like "realm_access.roles".
        roles_claim: String = "roles",
        /// oidc: PEM file with the CA of the provider; "" takes the system's.
        ca: FilePath = "",
        /// oidc: ask the userinfo endpoint as well.
        userinfo: bool = false,
        /// oidc: its `email` may be passed on without `email_verified`.
        trust_email: bool = false,
        /// local: the file of users, read again when it changes.
        users: FilePath,
    }
}

table! {
    /// How the gate's own pages look.
    Pages {
        /// What the pages call themselves.
        title: String = "Doorward",
        /// A path like "/logo.svg", an https URL or a data:image URL; "" is none.
        logo: String = "",
        /// "#1a56db"; "" is the pages' own.
        colour: String = "",
    }
}

words! {
    /// Who knows the people.
    Kind { "oidc" => Oidc, "local" => Local }
}

/// A secret that somebody else has chosen, of whatever length.
#[derive(Clone, Debug)]
pub(crate) struct ClientSecret(pub(crate) Secret);

impl FromText for ClientSecret {
    fn describe() -> Json {
        Secret::describe()
    }

    fn from_text(text: &Text, reading: &Reading<'_>) -> Result<Self, String> {
        if text.value.is_empty() {
            return Err("is empty; leave client_secret out for a public client".to_owned());
        }
        not_literal(text, reading)?;
        Ok(Self(Secret::new(text.value.clone().into_bytes())))
    }
}
