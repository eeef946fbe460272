use super::raw::shape::Shape as _;
use super::raw::File;
use super::*;
use serde_json::Value;
use std::fs;
use toml::de::{DeTable, DeValue};

const JWKS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

fn conf(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("conf").join(name)).unwrap()
}

/// A directory with what the examples point at.
fn surroundings() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let certified = rcgen::generate_simple_self_signed(vec!["app.example.com".to_owned()]).unwrap();
    fs::write(dir.path().join("tls.crt"), certified.cert.pem()).unwrap();
    fs::write(dir.path().join("tls.key"), certified.signing_key.serialize_pem()).unwrap();
    fs::write(dir.path().join("keys.json"), JWKS).unwrap();
    fs::write(dir.path().join("users.toml"), "").unwrap();
    fs::create_dir(dir.path().join("routes.d")).unwrap();
    fs::write(
        dir.path().join("routes.d/a.toml"),
        "[[route]]\npath = \"/a\"\nupstream = \"app\"\naccess = \"public\"\n",
    )
    .unwrap();
    dir
}

fn read(text: &str) -> Loaded {
    let dir = surroundings();
    let env = |name: &str| match name {
        "LEGACY_SECRET" => Some("0123456789abcdef0123456789abcdef".into()),
        "DOORWARD_SECRET" => Some("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".into()),
        "DOORWARD_ADMIN_TOKEN" => Some("an-operators-token-of-32-letters".into()),
        "DASHBOARD_TOKEN" => Some("a-dashboards-token-of-32-letters".into()),
        "SENTINEL_PASSWORD" | "OIDC_SECRET" | "CAPTCHA_SECRET" => Some("theirs".into()),
        _ => None,
    };
    let world = World { env: &env, secrets: Secrets::Indirect };
    from_text(text, dir.path(), &world).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// Switches on every key that an example has switched off: `#key`, `#[table]`, but no `# prose`.
fn switched_on(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => rest.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn every_example_loads_without_a_warning() {
    for name in ["doorward.toml", "minimal.toml", "sidecar.toml", "edge.toml"] {
        let loaded = read(&conf(name));
        assert_eq!(loaded.warnings, [], "{name}");
        assert!(!loaded.settings.routes.routes().is_empty(), "{name}");
    }
}

#[test]
fn the_reference_loads_with_everything_switched_on() {
    let loaded = read(&switched_on(&conf("doorward.toml")));
    assert!(loaded.settings.server.tls.is_some());
    assert_eq!(loaded.settings.issuers.len(), 4);
    assert_eq!(loaded.settings.providers.len(), 2);
    assert_eq!(loaded.settings.routes.routes().len(), 4);
}

#[test]
fn the_reference_shows_every_key_that_works() {
    let text = switched_on(&conf("doorward.toml"));
    let table = DeTable::parse(&text).unwrap();
    let mut missing = Vec::new();
    look_for(&File::schema(), &[&DeValue::Table(table.into_inner())], "", &mut missing);
    assert_eq!(missing, Vec::<String>::new());
}

/// Every key of `schema` stands in one of `tables`.
fn look_for(schema: &Value, tables: &[&DeValue<'_>], path: &str, missing: &mut Vec<String>) {
    let schema = schema.get("items").unwrap_or(schema);
    let Some(keys) = schema.get("properties").and_then(Value::as_object) else { return };
    for (key, schema) in keys.iter().filter(|(_, schema)| schema.get("not").is_none()) {
        let path = format!("{path}.{key}");
        let found: Vec<&DeValue<'_>> =
            tables.iter().filter_map(|table| table.get(key.as_str())).map(|node| node.get_ref()).collect();
        if found.is_empty() {
            missing.push(path);
        } else if key != "route_defaults" {
            let inner: Vec<&DeValue<'_>> = found
                .into_iter()
                .flat_map(|value| match value {
                    DeValue::Array(items) => items.iter().map(|item| item.get_ref()).collect(),
                    one => vec![one],
                })
                .collect();
            look_for(schema, &inner, &path, missing);
        }
    }
}

#[test]
fn a_default_shown_in_the_reference_is_the_default() {
    let shown = read(&conf("doorward.toml")).settings;
    let bare = read(&conf("minimal.toml")).settings;
    assert_eq!(shown.server, bare.server);
    assert_eq!(shown.admin, bare.admin);
    assert_eq!(shown.identity, bare.identity);
    assert_eq!(restart_needed(&shown, &bare), Vec::<&str>::new());
    assert_eq!(shown.keys, bare.keys);
    assert_eq!(shown.tokens, bare.tokens);
    assert_eq!(shown.session, bare.session);
    assert_eq!(shown.device, bare.device);
    assert_eq!(shown.brute_force, bare.brute_force);
    assert_eq!(shown.pages, bare.pages);
    assert_eq!(shown.upstreams.first(), bare.upstreams.first());
}

#[test]
fn the_schema_knows_what_the_file_knows() {
    let schema = schema();
    assert_eq!(schema.pointer("/properties/server/properties/max_header/default"), Some(&"32KiB".into()));
    assert_eq!(schema.pointer("/properties/server/additionalProperties"), Some(&false.into()));
    assert!(schema.pointer("/properties/client/not").is_some(), "a table that is refused is refused by the schema");
    assert_eq!(schema.pointer("/properties/limit/items/properties/burst/default"), Some(&20.into()));
    assert_eq!(schema.pointer("/properties/session/properties/mode/enum"), Some(&serde_json::json!(["jwt", "opaque"])));
    assert_eq!(schema.pointer("/properties/device/properties/weights/default/timezone"), Some(&0.2.into()));
    let headers = schema.pointer("/properties/identity/properties/headers/default/X-Auth-Roles");
    assert_eq!(headers, Some(&"roles".into()));
}
