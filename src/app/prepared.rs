//! What people sign in with, as a configuration says it: read and checked as a whole before anything is opened or changed
//! for it.

use super::terms::{parsed, provider, terms, theme};
use crate::config::settings::{ProviderEntry, ProviderKind, Settings};
use crate::domain::oidc::ProviderSettings;
use crate::domain::origins::{Origin, PublicOrigins};
use crate::domain::principal::SourceName;
use crate::outbound::bot::BotWebhook;
use crate::pipeline::session::Terms;
use crate::ports::bot::BotCheck;
use crate::users::Roster;
use crate::web::Theme;
use std::sync::Arc;

/// Nothing that is made of this can fail any more.
pub(super) struct Prepared {
    pub(super) origins: PublicOrigins,
    pub(super) terms: Terms,
    pub(super) theme: Theme,
    /// Where people may be sent back to.
    pub(super) destinations: Vec<Origin>,
    pub(super) bot: Option<Arc<dyn BotCheck>>,
    /// In the order of the file.
    pub(super) sources: Vec<(SourceName, Source)>,
}

/// Who holds the users of a provider.
pub(super) enum Source {
    Local(Roster),
    Oidc(ProviderSettings),
}

impl Prepared {
    /// Reads the files of local users, so not on a worker's time.
    ///
    /// # Errors
    /// In words for an operator.
    pub(super) fn of(settings: &Settings) -> Result<Self, String> {
        let server = &settings.server;
        let origins = PublicOrigins::parse(server.public_urls.iter().map(String::as_str));
        let bot = settings.bot.clone().map(BotWebhook::new).transpose()?;
        let sources = settings.providers.iter().map(|entry| Ok((entry.name.clone(), source(entry)?)));
        Ok(Self {
            origins: origins.ok_or("server.public_url is no list of origins")?,
            terms: terms(settings)?,
            theme: theme(&settings.pages)?,
            destinations: parsed(&server.return_to_origins)?,
            bot: bot.map(|bot| Arc::new(bot) as _),
            sources: sources.collect::<Result<_, String>>()?,
        })
    }
}

fn source(entry: &ProviderEntry) -> Result<Source, String> {
    match &entry.kind {
        ProviderKind::Local { users } => {
            Roster::from_file(users).map(Source::Local).map_err(|mistakes| mistakes.to_string())
        }
        ProviderKind::Oidc { .. } => {
            let settings = provider(entry).ok_or("a provider without settings")?;
            Ok(Source::Oidc(settings))
        }
    }
}
