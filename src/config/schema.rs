//! The JSON Schema of the file, for editors.

use super::raw::shape::Shape as _;
use super::raw::File;
use serde_json::{json, Value};

/// The JSON Schema (2020-12) of the configuration file.
#[must_use]
pub fn schema() -> Value {
    let mut schema = File::schema();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        schema.insert("title".to_owned(), json!("doorward.toml"));
    }
    schema
}
