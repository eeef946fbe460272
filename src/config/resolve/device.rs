//! `[device]`.

use crate::config::include::Findings;
use crate::config::mistakes::Place;
use crate::config::raw::session as raw;
use crate::config::raw::shape::Field;
use crate::config::raw::value::Fraction;
use crate::config::settings::{DeviceSettings, DeviceWeights, RiskTtl};
use std::time::Duration;

/// `access_ttl` is the life of the tokens that are renewed.
pub(super) fn device(
    raw: &raw::Device,
    access_ttl: Option<Duration>,
    findings: &mut Findings,
) -> Option<DeviceSettings> {
    let weights = weights(raw.weights.value.as_ref()?, &raw.weights.place, findings);
    let risk_ttl = raw.risk_ttl.value.as_ref().and_then(|ttl| risk_ttl(ttl, access_ttl, findings));
    Some(DeviceSettings {
        level: raw.level.value?,
        on_mismatch: raw.on_mismatch.value?,
        weights: weights?,
        risk_ttl: risk_ttl?,
    })
}

/// Shares of a whole, whatever the numbers add up to.
fn weights(raw: &raw::Weights, place: &Place, findings: &mut Findings) -> Option<DeviceWeights> {
    let fields = [&raw.user_agent, &raw.screen_resolution, &raw.timezone, &raw.accept_language];
    for field in fields {
        if field.value == Some(Fraction(0)) {
            findings.mistake(&field.place, "is not above 0; leave out what is not to be compared");
        }
    }
    if fields.iter().all(|field| !field.is_given() && field.value.is_none()) {
        findings.mistake(place, "is empty, so there is nothing to compare; write level = \"off\"");
        return None;
    }
    let [user_agent, screen_resolution, timezone, accept_language] = per_mille(fields)?;
    Some(DeviceWeights { user_agent, screen_resolution, timezone, accept_language })
}

/// Rounded down; what is missing then goes to the first that count.
fn per_mille(fields: [&Field<Fraction>; 4]) -> Option<[u16; 4]> {
    let parts = fields.map(|field| field.value.map_or(0, |fraction| fraction.0));
    let sum: u64 = parts.iter().sum();
    let mut shares = [0; 4];
    for (share, part) in shares.iter_mut().zip(parts) {
        *share = u16::try_from((part * 1000).checked_div(sum)?).ok()?;
    }
    let missing = 1000_u16.checked_sub(shares.iter().sum())?;
    for (share, _) in shares.iter_mut().zip(parts).filter(|(_, part)| *part > 0).take(missing.into()) {
        *share += 1;
    }
    Some(shares)
}

fn risk_ttl(raw: &raw::RiskTtl, access_ttl: Option<Duration>, findings: &mut Findings) -> Option<RiskTtl> {
    let (low, medium, high) = (raw.low.value?, raw.medium.value?, raw.high.value?);
    for (longer, shorter, field, less) in [(medium, low, &raw.medium, "low"), (high, medium, &raw.high, "medium")] {
        if longer > shorter {
            findings.mistake(&field.place, format!("is longer than {less}: more risk would last longer"));
        }
    }
    for field in [&raw.low, &raw.medium, &raw.high] {
        let span = field.value.filter(|span| field.is_given() && !span.is_zero());
        if span.zip(access_ttl).is_some_and(|(span, access)| span < access) {
            findings.warning(&field.place, "ends before the access token does: nothing is ever renewed");
        }
    }
    Some(RiskTtl { low, medium, high })
}
