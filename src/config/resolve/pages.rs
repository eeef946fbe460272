//! `[pages]`. What stands here ends up in HTML and in a Content-Security-Policy, so it is bounded and plain.

use crate::config::include::Findings;
use crate::config::origin::Origin;
use crate::config::raw::provider as raw;
use crate::config::raw::shape::Field;
use crate::config::settings::Pages;

/// Longest title, characters.
const MAX_TITLE: usize = 80;
/// Largest logo that stands in the file, bytes; every page carries it.
const MAX_LOGO: usize = 32 * 1024;

pub(super) fn pages(raw: &raw::Pages, findings: &mut Findings) -> Option<Pages> {
    let title = raw.title.value.clone()?;
    if title.trim().is_empty() || title.chars().count() > MAX_TITLE || title.chars().any(char::is_control) {
        findings.mistake(&raw.title.place, format!("is no title: 1 to {MAX_TITLE} characters on one line"));
    }
    let logo = said(&raw.logo)?;
    if logo.as_deref().is_some_and(|logo| !is_logo(logo)) {
        let text = "is no picture the pages could show: write a path like \"/logo.svg\", \"https://…\", or \
                    \"data:image/png;base64,…\" of up to 32KiB";
        findings.mistake(&raw.logo.place, text);
    }
    let colour = said(&raw.colour)?.map(|colour| colour.to_ascii_lowercase());
    if colour.as_deref().is_some_and(|colour| !is_colour(colour)) {
        findings.mistake(&raw.colour.place, "is no colour; write one like \"#1a56db\"");
    }
    Some(Pages { title, logo, colour })
}

/// The inner `None` is "".
fn said(field: &Field<String>) -> Option<Option<String>> {
    let text = field.value.as_deref()?;
    Some((!text.is_empty()).then(|| text.to_owned()))
}

fn is_logo(text: &str) -> bool {
    let plain = text.len() <= MAX_LOGO && text.bytes().all(|b| b.is_ascii_graphic() && !b"\"'<>\\;,".contains(&b));
    if let Some(rest) = text.strip_prefix("data:image/") {
        let Some((kind, content)) = rest.split_once(";base64,") else { return false };
        let kind_fits = ["png", "jpeg", "gif", "webp", "svg+xml", "x-icon"].contains(&kind);
        let fits = content.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
        return kind_fits && fits && !content.is_empty() && text.len() <= MAX_LOGO;
    }
    // "//host" is another origin
    plain && (Origin::split(text, &["https"]).is_ok() || (text.starts_with('/') && !text.starts_with("//")))
}

fn is_colour(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}
