//! Buckets as operators name them: `user=local/alice`, `ip=192.0.2.7|route=/api/**`.

use super::{Guard, Kept};
use crate::domain::limit::bucket::Micros;
use crate::domain::limit::{BuiltIn, KeyText, Part};
use crate::domain::principal::SourceName;
use crate::domain::session::{SessionId, UserHash};
use crate::ports::store::StoreError;
use std::net::IpAddr;

/// A key, part by part; an empty value is one that a request did not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named(Vec<(Part, String)>);

/// A bucket, over all replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    pub limit: String,
    pub rate: String,
    pub burst: u32,
    /// What replicas have reserved counts as spent.
    pub remaining: u32,
    /// Until it is full again.
    pub reset: Micros,
}

impl Named {
    /// Of `part=value` pairs; `None` for what is no part, no value of one, or stands there twice. Nobody's bucket is full,
    /// and so a name mistyped would look like somebody who may go on: what can be told from a name is.
    #[must_use]
    pub fn parse<'t>(pairs: impl Iterator<Item = (&'t str, String)>) -> Option<Self> {
        let mut parts: Vec<(Part, String)> = Vec::new();
        for (name, value) in pairs {
            let part = Part::parse(name)?;
            let fits = value.is_empty()
                || match part {
                    Part::Ip => value.parse::<IpAddr>().is_ok(),
                    Part::User | Part::Client | Part::Token => is_of_a_source(&value),
                    Part::Session => SessionId::parse(&value).is_some() || is_of_a_source(&value),
                    Part::ApiKey | Part::Route | Part::Header(_) => true,
                };
            if !fits || parts.iter().any(|(known, _)| *known == part) {
                return None;
            }
            parts.push((part, value));
        }
        (!parts.is_empty()).then_some(Self(parts))
    }

    /// The sources it names.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        let by_source =
            self.0.iter().filter(|(part, _)| matches!(part, Part::User | Part::Client | Part::Token | Part::Session));
        by_source.filter_map(|(_, value)| Some(value.split_once('/')?.0))
    }

    /// The route it names.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.value(&Part::Route).filter(|label| !label.is_empty())
    }

    fn value(&self, part: &Part) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == part).map(|(_, value)| value.as_str())
    }
}

impl Guard {
    /// Whether there is a route of this label.
    #[must_use]
    pub fn has_route(&self, label: &str) -> bool {
        self.routes.iter().any(|route| *route.label == *label)
    }

    /// How the buckets of this key stand, one for each limit that counts by exactly these parts.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn look(&self, named: &Named) -> Result<Vec<Looked>, StoreError> {
        let mut found = Vec::new();
        for (kept, key) in self.buckets(named) {
            let told = self.limiter.look_at(&kept.limit, &key).await?;
            found.push(Looked {
                limit: kept.limit.name.clone(),
                rate: kept.limit.rate.to_string(),
                burst: kept.limit.bucket.burst,
                remaining: told.remaining,
                reset: told.reset,
            });
        }
        Ok(found)
    }

    /// Fills them; the names of the limits whose buckets were not full.
    ///
    /// # Errors
    /// The store cannot be asked; some may have been filled.
    pub async fn reset(&self, named: &Named) -> Result<Vec<String>, StoreError> {
        let mut filled = Vec::new();
        for (kept, key) in self.buckets(named) {
            if self.limiter.refill(&kept.limit, &key).await? {
                filled.push(kept.limit.name.clone());
            }
        }
        Ok(filled)
    }

    fn buckets<'g>(&'g self, named: &'g Named) -> impl Iterator<Item = (&'g Kept, KeyText)> {
        let counts_by = |kept: &&Kept| {
            let parts = &kept.limit.key;
            // counted beside each token, where nobody can look it up
            let has_buckets = kept.limit.name != BuiltIn::TokenUsage.name();
            has_buckets && parts.len() == named.0.len() && parts.iter().all(|part| named.value(part).is_some())
        };
        self.kept.iter().filter(counts_by).map(|kept| {
            let mut key = KeyText::of(kept.number);
            for part in &kept.limit.key {
                let value = named.value(part).unwrap_or_default();
                self.write_named(kept, part, value, &mut key);
            }
            (kept, key)
        })
    }

    fn write_named(&self, kept: &Kept, part: &Part, value: &str, key: &mut KeyText) {
        let (source, subject) = value.split_once('/').unwrap_or_default();
        match part {
            _ if value.is_empty() => key.part(&[]),
            Part::Ip => key.ip(value.parse().ok(), self.prefixes),
            // a renewal token names its user by this
            Part::User if kept.limit.name == BuiltIn::RefreshUser.name() => {
                key.part(&[UserHash::of(&SourceName::new(source), subject).as_bytes()]);
            }
            Part::User => key.part(&[source.as_bytes(), subject.as_bytes()]),
            Part::Session => match SessionId::parse(value) {
                Some(id) => key.part(&[id.as_bytes()]),
                None => key.part(&[source.as_bytes(), subject.as_bytes()]),
            },
            Part::Client | Part::Token => key.part(&[source.as_bytes(), subject.as_bytes()]),
            Part::ApiKey | Part::Route | Part::Header(_) => key.part(&[value.as_bytes()]),
        }
    }
}

/// `SOURCE/NAME`
fn is_of_a_source(value: &str) -> bool {
    value.split_once('/').is_some_and(|(source, name)| !source.is_empty() && !name.is_empty())
}
