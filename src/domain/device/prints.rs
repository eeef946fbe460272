//! What a session remembers of its device: a hash for each component, and their compact form in a token.

use super::{Component, Device, PerMille, Secret, Weights};
use aws_lc_rs::hmac;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use sha2::{Digest, Sha256};
use std::fmt::{self, Write};

/// Eight bytes of HMAC-SHA-256: enough to compare, too few to matter when a key is lost.
type Print = [u8; 8];
/// One print as text.
const TEXT: usize = 11;

/// Hashes of what a device told, each on its own; what was not told has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prints([Option<Print>; 4]);

/// A `dfp` that we did not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the component hashes of the device are unreadable")]
pub struct Unreadable;

impl Prints {
    pub(super) fn of(device: &Device, key: &Secret) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
        Self(Component::ALL.map(|component| device.component(component).map(|value| print(&key, component, &value))))
    }

    /// How much this device agrees with the one that is `remembered`, as the share of the weights of what both told. What
    /// one of them did not tell is left out, but for a remembered agent: every browser sends its own with every request, and
    /// whoever leaves it out would be compared by a language alone, which is easily guessed. Two that have nothing in common
    /// to compare agree in nothing; two that told nothing, in all.
    #[must_use]
    pub fn similarity(&self, remembered: &Self, weights: &Weights) -> PerMille {
        if self == remembered {
            return PerMille::ALL;
        }
        let (mut agreeing, mut compared) = (0_u32, 0_u32);
        for ((component, seen), remembered) in Component::ALL.into_iter().zip(self.0).zip(remembered.0) {
            let hidden = component == Component::UserAgent && seen.is_none();
            if remembered.is_none() || (seen.is_none() && !hidden) {
                continue;
            }
            let weight = u32::from(weights.of(component).0);
            compared += weight;
            if seen == remembered {
                agreeing += weight;
            }
        }
        PerMille::share(agreeing, compared)
    }

    /// The `dfp` of a token: `u….s….t….l…`, a letter and eleven characters for each component that was told.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(4 * (TEXT + 2));
        for (component, print) in Component::ALL.into_iter().zip(self.0) {
            if let Some(print) = print {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push(component.letter());
                URL_SAFE_NO_PAD.encode_string(print, &mut text);
            }
        }
        text
    }

    /// Reads a `dfp`.
    ///
    /// # Errors
    /// Anything but what [`Prints::to_text`] writes: a second spelling would be a second token.
    pub fn from_text(text: &str) -> Result<Self, Unreadable> {
        let mut prints = Self::default();
        let mut components = Component::ALL.into_iter().zip(&mut prints.0);
        for part in text.split('.').filter(|_| !text.is_empty()) {
            let mut chars = part.chars();
            let letter = chars.next().ok_or(Unreadable)?;
            // going on where the last one stood: in order, and each once
            let (_, place) = components.find(|(component, _)| component.letter() == letter).ok_or(Unreadable)?;
            *place = Some(read(chars.as_str())?);
        }
        Ok(prints)
    }

    /// The claim `device_fingerprint`: one value for the whole device, SHA-256 over what is remembered of it, in hex.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut text = String::with_capacity(64);
        for byte in Sha256::digest(self.to_text().as_bytes()) {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// Nothing is remembered, so nothing can be recognised.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

/// The name goes in, so that a time zone and a language of one spelling do not have one hash.
fn print(key: &hmac::Key, component: Component, value: &[u8]) -> Print {
    let mut context = hmac::Context::with_key(key);
    context.update(component.name().as_bytes());
    context.update(b"\0");
    context.update(value);
    let tag = context.sign();
    tag.as_ref().first_chunk().copied().unwrap_or_default()
}

fn read(text: &str) -> Result<Print, Unreadable> {
    if text.len() != TEXT {
        return Err(Unreadable);
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Unreadable)?;
    bytes.try_into().map_err(|_| Unreadable)
}

impl Component {
    fn letter(self) -> char {
        match self {
            Self::UserAgent => 'u',
            Self::ScreenResolution => 's',
            Self::Timezone => 't',
            Self::AcceptLanguage => 'l',
        }
    }
}

impl fmt::Display for Prints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}
