//! `[store]`: where state is kept.

use super::shape::{table, Field, List, Node, Read, Shape};
use super::value::{decode, not_literal, FilePath, FromText, OneOrMore};
use crate::config::mistakes::Place;
use crate::config::reading::Reading;
use crate::config::secrets::Text;
use crate::config::settings::StoreKind;
use crate::config::store_url;
use crate::domain::secret::Secret;
use serde_json::{json, Value as Json};
use std::time::Duration;

table! {
    /// Where state is kept.
    Store {
        /// "memory:" keeps it in this process. "redis://host:6379/0", with TLS "rediss://…", "redis+sentinel://a,b,c/mymaster/0", "redis+cluster://a,b,c". With "user:password@" before the host, the whole URL stands in "env:NAME" or "file:/path".
        url: StoreUrl = "memory:",
        /// File with the CA (PEM) of a store reached by TLS; "" is the system's.
        ca: FilePath = "",
        /// How to log in at the sentinels, which do not share the user and password of the servers they watch.
        sentinel_username: String = "",
        /// Their password.
        sentinel_password: SentinelPassword,
        /// In front of every key.
        prefix: String = "dw:",
        /// Longest wait for an answer.
        timeout: Duration = "100ms",
        /// A replica that could not confirm the revocation log for longer is stale.
        max_staleness: Duration = "5s",
        /// Directory for what must survive a restart; "" is none.
        state_dir: FilePath = "",
        /// 32 bytes or more as base64, shared by all replicas; or a list of them: the first seals, all open.
        secret: SealingSecrets = "env:DOORWARD_SECRET",
    }
}

/// A store by its URL.
#[derive(Clone, Debug)]
pub(crate) struct StoreUrl(pub(crate) StoreKind);

impl FromText for StoreUrl {
    fn describe() -> Json {
        json!({ "type": "string", "pattern": "^(memory:|rediss?(\\+sentinel|\\+cluster)?://|env:|file:)" })
    }

    fn from_text(text: &Text, reading: &Reading<'_>) -> Result<Self, String> {
        let kind = store_url::parse(&text.value)?;
        if matches!(kind, StoreKind::Redis { password: Some(_), .. }) {
            not_literal(text, reading).map_err(|_| {
                "a password does not stand in the file: write the whole URL as \"env:NAME\" or \"file:/path\""
                    .to_owned()
            })?;
        }
        Ok(Self(kind))
    }
}

/// What seals the state: one, or a list. By default a variable that need not be there.
#[derive(Clone, Debug)]
pub(crate) struct SealingSecrets(pub(crate) List<SealingSecret>);

impl Shape for SealingSecrets {
    fn schema() -> Json {
        OneOrMore::<SealingSecret>::schema()
    }
}

impl Read for SealingSecrets {
    fn read(node: &Node<'_>, place: &Place, reading: &mut Reading<'_>) -> Option<Self> {
        if reading.is_unset(node) {
            return Some(Self(Vec::<Field<SealingSecret>>::new()));
        }
        OneOrMore::read(node, place, reading).map(|list| Self(list.0))
    }
}

/// Base64 of 32 bytes or more.
#[derive(Clone, Debug)]
pub(crate) struct SealingSecret(pub(crate) Secret);

impl FromText for SealingSecret {
    fn describe() -> Json {
        Secret::describe()
    }

    fn from_text(text: &Text, reading: &Reading<'_>) -> Result<Self, String> {
        not_literal(text, reading)?;
        let encoded = text.value.strip_prefix("base64:").unwrap_or(&text.value);
        match decode(encoded) {
            Some(bytes) if bytes.len() >= 32 => Ok(Self(Secret::new(bytes))),
            Some(_) | None => {
                let whose = if text.indirect { &text.shown } else { "it" };
                Err(format!(
                    "{whose} holds no base64 of 32 bytes or more; `openssl rand -base64 32` makes such a secret"
                ))
            }
        }
    }
}

/// A password that somebody else has chosen, of whatever length.
#[derive(Clone, Debug)]
pub(crate) struct SentinelPassword(pub(crate) Secret);

impl FromText for SentinelPassword {
    fn describe() -> Json {
        Secret::describe()
    }

    fn from_text(text: &Text, reading: &Reading<'_>) -> Result<Self, String> {
        if text.value.is_empty() {
            return Err("is empty; leave it out where the sentinels want none".to_owned());
        }
        not_literal(text, reading)?;
        Ok(Self(Secret::new(text.value.clone().into_bytes())))
    }
}
