//! How a table of the file is declared, read and described.
//!
//! Reading never stops at a mistake: each is noted with its place, and the key reads as not there. That is why this
//! is not serde, whose derived code returns at the first error and knows no lines.

use crate::config::mistakes::{did_you_mean, Place};
use crate::config::reading::Reading;
use serde_json::{json, Map, Value as Json};
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};
use toml::Spanned;

pub(crate) type Node<'n> = Spanned<DeValue<'n>>;

/// What a key takes, as JSON Schema.
pub(crate) trait Shape {
    fn schema() -> Json;
}

/// What a key takes, read.
pub(crate) trait Read: Shape + Sized {
    /// `None` after every mistake in `node` has been noted.
    fn read(node: &Node<'_>, place: &Place, reading: &mut Reading<'_>) -> Option<Self>;
}

/// A key of a table: its value or its default, and where to point when it is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Field<T> {
    /// `None`: there is neither value nor default, or the mistake has been noted.
    pub(crate) value: Option<T>,
    pub(crate) given: Given,
    pub(crate) place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// The file says it, rightly or wrongly.
    InFile,
    Not,
}

pub(crate) type List<T> = Vec<Field<T>>;

/// Declares a table: `key: Type,` or `key: Type = default,` with the default as it would be typed in the file.
/// The doc comment of a key is its description in the JSON Schema.
///
/// Keys under `later` are refused wherever they stand, because what they ask for is not built yet: ignoring one would
/// let an operator believe in a protection that is not there. A table marked `later` is only described.
macro_rules! table {
    (later $(#[doc = $about:literal])* $name:ident { $($keys:tt)* }) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug)]
        pub(crate) enum $name {}
        $crate::config::raw::shape::table!(schema $name [$($about),*] { $($keys)* });
    };
    ($(#[doc = $about:literal])* $name:ident {
        $($(#[doc = $doc:literal])* $key:ident : $type:ty $(= $default:tt)?),* $(,)?
    } $(later {
        $($(#[doc = $later_doc:literal])* $later:ident : $later_type:ty),* $(,)?
    })?) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name {
            $($(#[doc = $doc])* pub(crate) $key: $crate::config::raw::shape::Field<$type>),*
        }
        $crate::config::raw::shape::table!(schema $name [$($about),*] {
            $($(#[doc = $doc])* $key: $type $(= $default)?),*
        } $(later { $($(#[doc = $later_doc])* $later: $later_type),* })?);
        impl $crate::config::raw::shape::Read for $name {
            fn read(
                node: &$crate::config::raw::shape::Node<'_>,
                place: &$crate::config::mistakes::Place,
                reading: &mut $crate::config::reading::Reading<'_>,
            ) -> Option<Self> {
                let later = [$($(stringify!($later)),*)?];
                let table = $crate::config::raw::shape::open(node, place, (&[$(stringify!($key)),*], &later), reading)?;
                Some(Self {
                    $($key: $crate::config::raw::shape::field(
                        table, (place, stringify!($key)), None $(.or(Some(stringify!($default))))?, reading,
                    )),*
                })
            }
        }
    };
    (schema $name:ident [$($about:literal),*] {
        $($(#[doc = $doc:literal])* $key:ident : $type:ty $(= $default:tt)?),* $(,)?
    } $(later {
        $($(#[doc = $later_doc:literal])* $later:ident : $later_type:ty),* $(,)?
    })?) => {
        impl $crate::config::raw::shape::Shape for $name {
            fn schema() -> serde_json::Value {
                use $crate::config::raw::shape::{describe, describe_table, Shape};
                describe_table(concat!($($about),*), vec![
                    $((
                        stringify!($key),
                        describe(<$type as Shape>::schema(), concat!($($doc),*), None $(.or(Some(stringify!($default))))?),
                    ),)*
                    $($((
                        stringify!($later),
                        $crate::config::raw::shape::not_yet(<$later_type as Shape>::schema(), concat!($($later_doc),*)),
                    ),)*)?
                ])
            }
        }
    };
}
pub(crate) use table;

impl<T> Field<T> {
    pub(crate) fn is_given(&self) -> bool {
        self.given == Given::InFile
    }

    /// `other` where only that is said by the file.
    pub(crate) fn or<'f>(&'f self, other: &'f Self) -> &'f Self {
        if other.is_given() && !self.is_given() {
            other
        } else {
            self
        }
    }
}

/// The table at `node`, after noting every key that is unknown or not available yet.
pub(crate) fn open<'n>(
    node: &'n Node<'_>,
    place: &Place,
    (known, later): (&[&'static str], &[&'static str]),
    reading: &mut Reading<'_>,
) -> Option<&'n DeTable<'n>> {
    let Some(table) = node.get_ref().as_table() else {
        reading.mistake(place, format!("a table is expected here, not {}", kind(node)));
        return None;
    };
    for key in table.keys() {
        let name = key.get_ref().as_ref();
        let at = place.key(name).at_line(reading.line(key.span().start));
        if later.contains(&name) {
            reading.mistake(&at, "is not available yet; take it out");
        } else if !known.contains(&name) {
            let hint = did_you_mean(name, known.iter().chain(later).copied());
            reading.mistake(&at, format!("unknown key{hint}"));
        }
    }
    Some(table)
}

/// One key of `table`. A key that is absent points at its table.
pub(crate) fn field<T: Read>(
    table: &DeTable<'_>,
    (place, key): (&Place, &str),
    default: Option<&str>,
    reading: &mut Reading<'_>,
) -> Field<T> {
    let place = place.key(key);
    if let Some((name, node)) = table.get_key_value(key) {
        let place = place.at_line(reading.line(name.span().start));
        return Field { value: T::read(node, &place, reading), given: Given::InFile, place };
    }
    let value = default.and_then(|text| DeValue::parse(text).ok()).and_then(|node| reading.default(&node, &place));
    Field { value, given: Given::Not, place }
}

impl<T: Shape> Shape for List<T> {
    fn schema() -> Json {
        json!({ "type": "array", "items": T::schema() })
    }
}

impl<T: Read> Read for List<T> {
    fn read(node: &Node<'_>, place: &Place, reading: &mut Reading<'_>) -> Option<Self> {
        let Some(items) = node.get_ref().as_array() else {
            reading.mistake(place, format!("a list is expected here, not {}", kind(node)));
            return None;
        };
        let read = |(index, node): (usize, &Node<'_>)| {
            let place = place.item(index).at_line(reading.line(node.span().start));
            Field { value: T::read(node, &place, reading), given: Given::InFile, place }
        };
        Some(items.iter().enumerate().map(read).collect())
    }
}

/// Keys chosen by the operator.
impl<T: Shape> Shape for BTreeMap<String, Field<T>> {
    fn schema() -> Json {
        json!({ "type": "object", "additionalProperties": T::schema() })
    }
}

impl<T: Read> Read for BTreeMap<String, Field<T>> {
    fn read(node: &Node<'_>, place: &Place, reading: &mut Reading<'_>) -> Option<Self> {
        let Some(table) = node.get_ref().as_table() else {
            reading.mistake(place, format!("a table is expected here, not {}", kind(node)));
            return None;
        };
        let read = |(key, node): (&Spanned<toml::de::DeString<'_>>, &Node<'_>)| {
            let place = place.key(key.get_ref()).at_line(reading.line(key.span().start));
            let value = T::read(node, &place, reading);
            (key.get_ref().clone().into_owned(), Field { value, given: Given::InFile, place })
        };
        Some(table.iter().map(read).collect())
    }
}

/// What stands at `node`, for people.
pub(crate) fn kind(node: &Node<'_>) -> &'static str {
    match node.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

pub(crate) fn describe_table(about: &str, keys: Vec<(&str, Json)>) -> Json {
    let properties: Map<String, Json> = keys.into_iter().map(|(key, schema)| (key.to_owned(), schema)).collect();
    json!({ "description": about.trim(), "type": "object", "additionalProperties": false, "properties": properties })
}

pub(crate) fn describe(schema: Json, doc: &str, default: Option<&str>) -> Json {
    let Json::Object(mut schema) = schema else { return schema };
    if !doc.is_empty() {
        schema.insert("description".to_owned(), doc.trim().into());
    }
    if let Some(node) = default.and_then(|text| DeValue::parse(text).ok()) {
        if !matches!(node.get_ref(), DeValue::Table(table) if table.is_empty()) {
            schema.insert("default".to_owned(), as_json(&node));
        }
    }
    Json::Object(schema)
}

/// Described for whoever reads on, and refused.
pub(crate) fn not_yet(schema: Json, doc: &str) -> Json {
    let mut schema = describe(schema, format!("{doc} Not available yet.").trim(), None);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("not".to_owned(), json!({}));
    }
    schema
}

fn as_json(node: &Node<'_>) -> Json {
    match node.get_ref() {
        DeValue::String(text) => json!(text),
        DeValue::Integer(number) => number.as_str().parse::<i64>().map_or(Json::Null, Json::from),
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Json::Null, Json::from),
        DeValue::Boolean(value) => json!(value),
        DeValue::Datetime(date) => json!(date.to_string()),
        DeValue::Array(items) => items.iter().map(as_json).collect(),
        DeValue::Table(table) => {
            Json::Object(table.iter().map(|(key, node)| (key.get_ref().to_string(), as_json(node))).collect())
        }
    }
}
