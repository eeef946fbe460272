//! What the file says of sessions, keys, devices, providers and pages, in the words of those who act on it.

use crate::config::settings::{
    DeviceLevel, Mode, Nesting, OnLimit, OnMismatch, Pages, ProviderEntry, ProviderKind, Renewal, Rotation, SameSite,
    SessionClaim, Settings, SigningAlgorithm,
};
use crate::domain::cookies;
use crate::domain::device::{self, PerMille};
use crate::domain::family::{self, Rules};
use crate::domain::oidc::ProviderSettings;
use crate::domain::origins::Origin;
use crate::domain::session::{self, Lifetimes};
use crate::domain::signing::access_token;
use crate::domain::signing::{Algorithm, Schedule};
use crate::pipeline::session::Terms;
use crate::web::Theme;

/// In how many generations in a row a forgiven predecessor means that somebody walks in another one's steps.
const MAX_GRACE_STREAK: u32 = 3;
/// Where no colour is configured.
const COLOUR: &str = "#1f5fa8";

pub(super) fn schedule(settings: &Settings) -> Schedule {
    Schedule {
        algorithm: match settings.keys.algorithm {
            SigningAlgorithm::Es256 => Algorithm::Es256,
            SigningAlgorithm::EdDsa => Algorithm::EdDsa,
            SigningAlgorithm::Rs256 => Algorithm::Rs256,
        },
        rotate_every: settings.keys.rotate_every,
        publish_ahead: settings.keys.publish_ahead,
        overlap: settings.keys.overlap,
        token_life: settings.tokens.access_ttl,
    }
}

pub(super) fn terms(settings: &Settings) -> Result<Terms, String> {
    let (session, tokens) = (&settings.session, &settings.tokens);
    Ok(Terms {
        mode: match session.mode {
            Mode::Jwt => crate::pipeline::session::Mode::Jwt,
            Mode::Opaque => crate::pipeline::session::Mode::Opaque,
        },
        access_ttl: tokens.access_ttl,
        lifetimes: Lifetimes { idle: session.idle_timeout, absolute: session.absolute_timeout },
        cap: session.max_per_user,
        on_limit: match session.on_limit {
            OnLimit::EvictOldest => session::OnLimit::EvictOldest,
            OnLimit::Reject => session::OnLimit::Reject,
            OnLimit::Single => session::OnLimit::Single,
        },
        renewal: match session.renewal {
            Renewal::Transparent => crate::pipeline::session::Renewal::Transparent,
            Renewal::Endpoint => crate::pipeline::session::Renewal::Endpoint,
            Renewal::Off => crate::pipeline::session::Renewal::Off,
        },
        family: Rules {
            grace: tokens.reuse_grace,
            idle: session.idle_timeout + tokens.access_ttl,
            rotation: match tokens.rotation {
                Rotation::Always => family::Rotation::Always,
                Rotation::Never => family::Rotation::Never,
            },
            max_grace_streak: MAX_GRACE_STREAK,
        },
        token_grace: tokens.token_endpoint_grace,
        refresh_ttl: tokens.refresh_ttl,
        audience: tokens.audience.clone(),
        session_claim: match tokens.session_claim {
            SessionClaim::Sid => access_token::SessionClaim::Sid,
            SessionClaim::SessionId => access_token::SessionClaim::SessionId,
        },
        nesting: match tokens.nesting {
            Nesting::None => crate::pipeline::session::Nesting::None,
            Nesting::JwsOfJwe => crate::pipeline::session::Nesting::JwsOfJwe,
        },
        device: device_terms(settings),
        same_site: match session.same_site {
            SameSite::Lax => cookies::SameSite::Lax,
            SameSite::Strict => cookies::SameSite::Strict,
            SameSite::None => cookies::SameSite::None,
        },
        cookie_domain: session.cookie_domain.clone(),
        csrf_origins: parsed(&settings.server.csrf_origins)?,
    })
}

fn device_terms(settings: &Settings) -> device::Terms {
    let device = &settings.device;
    device::Terms {
        level: match device.level {
            DeviceLevel::Off => device::Level::Off,
            DeviceLevel::Relaxed => device::Level::Relaxed,
            DeviceLevel::Normal => device::Level::Normal,
            DeviceLevel::Strict => device::Level::Strict,
        },
        on_mismatch: match device.on_mismatch {
            OnMismatch::Log => device::OnMismatch::Log,
            OnMismatch::StepUp => device::OnMismatch::StepUp,
            OnMismatch::Deny => device::OnMismatch::Deny,
            OnMismatch::Logout => device::OnMismatch::Logout,
        },
        weights: device::Weights {
            user_agent: PerMille(device.weights.user_agent),
            screen_resolution: PerMille(device.weights.screen_resolution),
            timezone: PerMille(device.weights.timezone),
            accept_language: PerMille(device.weights.accept_language),
        },
        risk_ttl: device::RiskTtl {
            low: device.risk_ttl.low,
            medium: device.risk_ttl.medium,
            high: device.risk_ttl.high,
        },
    }
}

pub(super) fn provider(entry: &ProviderEntry) -> Option<ProviderSettings> {
    let ProviderKind::Oidc { issuer, client_id, client_secret, scopes, roles_claim, ca, userinfo, trust_email } =
        &entry.kind
    else {
        return None;
    };
    Some(ProviderSettings {
        name: entry.name.clone(),
        issuer: issuer.clone(),
        client_id: client_id.clone(),
        client_secret: client_secret.clone(),
        scopes: scopes.clone(),
        roles_claim: roles_claim.clone(),
        ca: ca.clone(),
        userinfo: *userinfo,
        trust_email: *trust_email,
    })
}

pub(super) fn theme(pages: &Pages) -> Result<Theme, String> {
    let colour = pages.colour.as_deref().unwrap_or(COLOUR);
    Theme::new(&pages.title, pages.logo.as_deref(), colour).map_err(|mistakes| {
        let keys: Vec<&str> = mistakes.iter().map(|mistake| mistake.key()).collect();
        format!("pages: {}", keys.join(", "))
    })
}

pub(super) fn parsed(origins: &[String]) -> Result<Vec<Origin>, String> {
    let parse = |text: &String| Origin::parse(text).ok_or_else(|| format!("\"{text}\" is no origin"));
    origins.iter().map(parse).collect()
}
