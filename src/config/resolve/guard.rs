//! `[brute_force]` and `[bot]`.

use super::issuer::only_https_or_loopback;
use crate::config::include::Findings;
use crate::config::origin::Origin;
use crate::config::raw::guard as raw;
use crate::config::raw::shape::Field;
use crate::config::settings::{BotSettings, CaptchaSettings};
use crate::domain::failures::{Schedule, MEMORY};

pub(super) fn brute_force(raw: &raw::BruteForce, findings: &mut Findings) -> Option<Schedule> {
    let (free, block, block_max) = (raw.free.value, raw.block.value, raw.block_max.value);
    if free == Some(0) {
        findings.mistake(&raw.free.place, "is 0: everybody would be blocked by their first slip; write 1 or more");
    }
    if free.is_some_and(|free| free > 1_000) {
        findings.mistake(&raw.free.place, "is above 1000: that is no bound for somebody who guesses");
    }
    if block.is_some_and(|block| block.is_zero()) {
        findings.mistake(&raw.block.place, "is no time: nobody would ever be blocked");
    }
    if block_max.is_some_and(|most| most > MEMORY) {
        findings.mistake(&raw.block_max.place, "is longer than a day, after which failures are forgotten");
    }
    if block_max < block {
        // only one of the two may have been typed
        let place = if raw.block_max.is_given() { &raw.block_max.place } else { &raw.block.place };
        findings.mistake(place, "the first block is longer than block_max, the longest");
    }
    Some(Schedule { free: u32::try_from(free?).ok()?, block: block?, block_max: block_max?, fades: None })
}

pub(super) fn bot(raw: &raw::Bot, findings: &mut Findings) -> Option<Option<BotSettings>> {
    let webhook = raw.webhook.value.clone()?;
    let captcha = captcha(raw.captcha.value.as_ref()?, &raw.captcha, findings);
    if webhook.is_empty() {
        if raw.captcha.is_given() {
            findings.warning(&raw.captcha.place, "says nothing without webhook: nobody is challenged");
        }
        return Some(None);
    }
    only_https_or_loopback(&webhook, &raw.webhook.place, findings);
    Some(Some(BotSettings { webhook, captcha: captcha? }))
}

/// All of it or nothing.
fn captcha(
    raw: &raw::Captcha,
    table: &Field<raw::Captcha>,
    findings: &mut Findings,
) -> Option<Option<CaptchaSettings>> {
    if !table.is_given() {
        return Some(None);
    }
    for field in [&raw.site_key, &raw.verify_url, &raw.script_url, &raw.field, &raw.class] {
        if field.value.as_deref() == Some("") {
            findings.mistake(&field.place, "is missing; its provider says what to write");
        }
    }
    if !raw.secret.is_given() {
        findings.mistake(&raw.secret.place, "is missing; without it no solution can be checked");
    }
    for field in [&raw.verify_url, &raw.script_url] {
        if let Some(url) = field.value.as_deref().filter(|url| !url.is_empty()) {
            only_https_or_loopback(url, &field.place, findings);
        }
    }
    let script_url = raw.script_url.value.clone()?;
    // it goes into the Content-Security-Policy
    if Origin::split(&script_url, &["https", "http"]).is_ok() && script_url.contains([';', ',', ' ', '\'', '"']) {
        findings.mistake(&raw.script_url.place, "holds a character that a content security policy reads otherwise");
    }
    let origins = raw.origins.value.iter().flatten().filter_map(|field| origin(field, findings)).collect();
    Some(Some(CaptchaSettings {
        site_key: raw.site_key.value.clone()?,
        secret: raw.secret.value.as_ref()?.0.clone(),
        verify_url: raw.verify_url.value.clone()?,
        script_url,
        origins,
        field: raw.field.value.clone()?,
        class: raw.class.value.clone()?,
    }))
}

/// An origin as a policy takes it, where `*.` stands for all names below a host.
fn origin(field: &Field<String>, findings: &mut Findings) -> Option<String> {
    let text = field.value.as_deref()?;
    let (wild, plain) = match text.split_once("://*.") {
        Some((scheme, host)) => ("*.", format!("{scheme}://{host}")),
        None => ("", text.to_owned()),
    };
    let read = Origin::parse(&plain, &["https", "http"]);
    only_https_or_loopback(&plain, &field.place, findings);
    let told = match &read {
        Ok(origin) => origin.to_string(),
        // where this is no URL at all, it was said above
        Err(why) if Origin::split(&plain, &["https", "http"]).is_ok() => {
            findings.mistake(&field.place, why.clone());
            return None;
        }
        Err(_) => return None,
    };
    let (scheme, host) = told.split_once("://")?;
    // it goes into the Content-Security-Policy
    if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":.-[]".contains(&byte))
        || (!wild.is_empty() && !host.contains('.'))
    {
        findings.mistake(&field.place, "is no origin of a content security policy, like \"https://*.hcaptcha.com\"");
        return None;
    }
    Some(format!("{scheme}://{wild}{host}"))
}
