//! What a single value may look like: text, numbers, spans of time, sizes, words of a fixed set.

use super::shape::{kind, Field, Node, Read, Shape};
use crate::config::mistakes::{did_you_mean, Place};
use crate::config::reading::Reading;
use crate::config::secrets::{Secrets, Text};
use crate::domain::policy::pattern::{HostPattern, PathPattern};
use crate::domain::secret::Secret;
use http::{HeaderName, HeaderValue};
use serde_json::{json, Value as Json};
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

/// A value that is typed as a string.
pub(crate) trait FromText: Sized {
    /// JSON Schema, beside `"type": "string"`.
    fn describe() -> Json {
        json!({ "type": "string" })
    }

    /// The error is a whole sentence.
    fn from_text(text: &Text, reading: &Reading<'_>) -> Result<Self, String>;
}

impl<T: FromText> Shape for T {
    fn schema() -> Json {
        T::describe()
    }
}

impl<T: FromText> Read for T {
    fn read(node: &Node<'_>, place: &Place, reading: &mut Reading<'_>) -> Option<Self> {
        let Some(typed) = node.get_ref().as_str() else {
            reading.mistake(place, format!("a string is expected here, not {}", kind(node)));
            return None;
        };
        let value = reading.text(typed).and_then(|text| T::from_text(&text, reading));
        value.map_err(|why| reading.mistake(place, why)).ok()
    }
}

impl FromText for String {
    fn from_text(text: &Text, _: &Reading<'_>) -> Result<Self, String> {
        Ok(text.value.clone())
    }
}

/// A name that metrics, headers and other tables use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) String);

impl FromText for Name {
    fn describe() -> Json {
        json!({ "type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$" })
    }

    fn from_text(text: &Text, _: &Reading<'_>) -> Result<Self, String> {
        let plain = text.value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if plain && (1..=64).contains(&text.value.len()) {
            return Ok(Self(text.value.clone()));
        }
        Err(format!("a name is 1 to 64 letters, digits, \".\", \"_\" or \"-\", not {}", text.shown))
    }
}

/// A path, relative to the file it stands in. `""` is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilePath(pub(crate) Option<PathBuf>);

impl FromText for FilePath {
    fn from_text(text: &Text, reading: &Reading<'_>) -> Result<Self, String> {
        Ok(Self((!text.value.is_empty()).then(|| reading.resolve(&text.value))))
    }
}

impl FromText for Duration {
    fn describe() -> Json {
        json!({ "type": "string", "examples": ["500ms", "10s", "15m", "48h", "30d"] })
    }

    fn from_text(text: &Text, _: &Reading<'_>) -> Result<Self, String> {
        // ten years: far enough, and never near the end of what a clock can count
        const MOST: u64 = 10 * 365 * 86_400_000;
        let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
        let millis = units.into_iter().find_map(|(unit, factor)| number(&text.value, unit)?.checked_mul(factor));
        match millis {
            Some(millis) if millis <= MOST => Ok(Self::from_millis(millis)),
            Some(_) => Err(format!("{} is too long: ten years are the most", text.shown)),
            None => {
                Err(format!("{} is no span of time: write a number and ms, s, m, h or d, like \"15m\"", text.shown))
            }
        }
    }
}

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) u64);

impl FromText for Size {
    fn describe() -> Json {
        json!({ "type": "string", "examples": ["512B", "32KiB", "10MiB", "2GiB"] })
    }

    fn from_text(text: &Text, _: &Reading<'_>) -> Result<Self, String> {
        let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];
        let bytes = units.into_iter().find_map(|(unit, factor)| number(&text.value, unit)?.checked_mul(factor));
        let why = || format!("{} is no size: write a number and B, KiB, MiB or GiB, like \"32KiB\"", text.shown);
        bytes.map(Self).ok_or_else(why)
    }
}

/// The number in front of `unit`.
fn number(text: &str, unit: &str) -> Option<u64> {
    let digits = text.strip_suffix(unit)?;
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        digits.parse().ok()
    } else {
        None
    }
}

impl FromText for Secret {
    fn describe() -> Json {
        json!({ "type": "string", "pattern": "^(env|file):" })
    }

    fn from_text(text: &Text, reading: &Reading<'_>) -> Result<Self, String> {
        not_literal(text, reading)?;
        let bytes = match text.value.strip_prefix("base64:") {
            None => text.value.clone().into_bytes(),
            Some(encoded) => decode(encoded).ok_or("what follows \"base64:\" is no base64")?,
        };
        if bytes.len() < 32 {
            return Err("a secret has 32 bytes or more; `openssl rand -hex 32` makes one".to_owned());
        }
        Ok(Self::new(bytes))
    }
}

/// A secret that stands elsewhere, so that the file can be shown, stored and shared.
pub(crate) fn not_literal(text: &Text, reading: &Reading<'_>) -> Result<(), String> {
    if text.indirect || reading.secrets() == Secrets::Literal {
        return Ok(());
    }
    Err("a secret does not stand in the file: write \"env:NAME\" or \"file:/path\"".to_owned())
}

pub(crate) fn decode(encoded: &str) -> Option<Vec<u8>> {
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    use base64::Engine as _;
    [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD].iter().find_map(|kind| kind.decode(encoded).ok())
}

impl FromText for HostPattern {
    fn from_text(text: &Text, _: &Reading<'_>) -> Result<Self, String> {
        Self::parse(&text.value)
    }
}

impl FromText for PathPattern {
    fn from_text(text: &Text, _: &Reading<'_>) -> Result<Self, String> {
        Self::parse(&text.value)
    }
}

impl FromText for http::Method {
    fn from_text(text: &Text, _: &Reading<'_>) -> Result<Self, String> {
        let upper = text.value.to_ascii_uppercase();
        let method = Self::from_bytes(text.value.as_bytes()).map_err(|_| format!("{} is no method", text.shown))?;
        if method == Self::TRACE || method == Self::CONNECT {
            return Err(format!("{method} never passes the gate"));
        }
        if upper != text.value {
            return Err(format!("methods are told apart by case; write \"{upper}\""));
        }
        Ok(method)
    }
}

impl FromText for HeaderName {
    fn from_text(text: &Text, _: &Reading<'_>) -> Result<Self, String> {
        Self::from_bytes(text.value.as_bytes()).map_err(|_| format!("{} is no header name", text.shown))
    }
}

impl FromText for HeaderValue {
    fn from_text(text: &Text, _: &Reading<'_>) -> Result<Self, String> {
        let trimmed = text.value.trim_matches([' ', '\t']) == text.value;
        let value = Self::from_str(&text.value).ok().filter(|_| trimmed);
        value.ok_or_else(|| format!("{} cannot be a header value: visible ASCII, no space at either end", text.shown))
    }
}

impl Shape for bool {
    fn schema() -> Json {
        json!({ "type": "boolean" })
    }
}

impl Read for bool {
    fn read(node: &Node<'_>, place: &Place, reading: &mut Reading<'_>) -> Option<Self> {
        let value = node.get_ref().as_bool();
        if value.is_none() {
            reading.mistake(place, format!("true or false is expected here, not {}", kind(node)));
        }
        value
    }
}

impl Shape for usize {
    fn schema() -> Json {
        json!({ "type": "integer", "minimum": 0 })
    }
}

impl Read for usize {
    fn read(node: &Node<'_>, place: &Place, reading: &mut Reading<'_>) -> Option<Self> {
        let number = match node.get_ref() {
            DeValue::Integer(number) => Self::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        if number.is_none() {
            reading.mistake(place, format!("a whole number from 0 on is expected here, not {}", shown_number(node)));
        }
        number
    }
}

fn shown_number(node: &Node<'_>) -> String {
    match node.get_ref() {
        DeValue::Integer(number) => number.to_string(),
        _ => kind(node).to_owned(),
    }
}

/// A number from 0 on, in millionths: what a file says exactly stays exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fraction(pub(crate) u64);

impl Shape for Fraction {
    fn schema() -> Json {
        json!({ "type": "number", "minimum": 0 })
    }
}

impl Read for Fraction {
    fn read(node: &Node<'_>, place: &Place, reading: &mut Reading<'_>) -> Option<Self> {
        let fraction = match node.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => millionths(number.as_str()),
            DeValue::Float(number) => millionths(number.as_str()),
            _ => None,
        };
        if fraction.is_none() {
            reading.mistake(place, "a number from 0 on is expected here, like 0.25, of six decimals at most");
        }
        fraction.map(Self)
    }
}

/// Digits, and up to six behind a point.
fn millionths(text: &str) -> Option<u64> {
    let (whole, decimals) = text.strip_prefix('+').unwrap_or(text).split_once('.').unwrap_or((text, "0"));
    let plain = |digits: &str| (1..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || !plain(decimals) {
        return None;
    }
    format!("{whole}{decimals:0<6}").parse().ok()
}

/// One value, or a list of them.
#[derive(Clone, Debug)]
pub(crate) struct OneOrMore<T>(pub(crate) Vec<Field<T>>);

impl<T: Shape> Shape for OneOrMore<T> {
    fn schema() -> Json {
        json!({ "anyOf": [T::schema(), Vec::<Field<T>>::schema()] })
    }
}

impl<T: Read> Read for OneOrMore<T> {
    fn read(node: &Node<'_>, place: &Place, reading: &mut Reading<'_>) -> Option<Self> {
        if node.get_ref().as_array().is_some() {
            return Read::read(node, place, reading).map(Self);
        }
        let value = T::read(node, place, reading);
        let given = super::shape::Given::InFile;
        Some(Self(vec![Field { value, given, place: place.clone() }]))
    }
}

/// Declares a set of words, or gives words to an enum of the settings (`impl`); those after `later` are known, and
/// refused.
macro_rules! words {
    (impl $name:ty { $($word:literal => $variant:ident),* $(,)? } $(later $($later:literal),+)?) => {
        impl $crate::config::raw::value::FromText for $name {
            fn describe() -> serde_json::Value {
                serde_json::json!({ "enum": [$($word),*] })
            }

            fn from_text(
                text: &$crate::config::secrets::Text,
                _: &$crate::config::reading::Reading<'_>,
            ) -> Result<Self, String> {
                match text.value.as_str() {
                    $($word => Ok(Self::$variant),)*
                    $($($later)|+ => Err(format!("{} is not available yet", text.shown)),)?
                    _ => Err($crate::config::raw::value::not_one_of(text, &[$($word),*])),
                }
            }
        }
    };
    ($(#[doc = $about:literal])* $name:ident { $($word:literal => $variant:ident),* $(,)? } $(later $($later:literal),+)?) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($variant),* }
        $crate::config::raw::value::words!(impl $name { $($word => $variant),* } $(later $($later),+)?);
    };
}
pub(crate) use words;

pub(crate) fn not_one_of(text: &Text, words: &[&'static str]) -> String {
    let list: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    format!("{} is none of {}{}", text.shown, list.join(", "), did_you_mean(&text.value, words.iter().copied()))
}
