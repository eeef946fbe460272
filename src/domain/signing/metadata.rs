//! What we say about ourselves under `/.well-known/`. Only what is there is claimed: a client that reads of an endpoint
//! we lack would fail later, and further away from the cause.

use super::key::Algorithm;
use serde_json::{json, Map, Value};

/// What of it is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// `POST /token` for clients that hold refresh tokens.
    pub refresh_token: bool,
    /// `POST /token` and `POST /introspect` for machines.
    pub client_credentials: bool,
    /// `POST /revoke`, where a token is its own proof.
    pub revocation: bool,
}

/// `/.well-known/oauth-authorization-server` (RFC 8414 section 2). No authorization endpoint: we sign people in for
/// ourselves, and are no provider to others.
#[must_use]
pub fn authorization_server(issuer: &str, prefix: &str, offered: Offered) -> Value {
    Value::Object(server(issuer, prefix, offered))
}

/// `/.well-known/openid-configuration`: the same, where verifiers of bearer tokens look for keys. We issue no ID
/// tokens; the algorithms are those of our access tokens, which is what such readers take them for.
#[must_use]
pub fn openid_configuration(issuer: &str, prefix: &str, offered: Offered, algorithms: &[Algorithm]) -> Value {
    let mut document = server(issuer, prefix, offered);
    let names: Vec<&str> = algorithms.iter().map(|algorithm| algorithm.name()).collect();
    document.insert("subject_types_supported".to_owned(), json!(["public"]));
    document.insert("id_token_signing_alg_values_supported".to_owned(), json!(names));
    Value::Object(document)
}

/// `/.well-known/oauth-protected-resource` (RFC 9728 section 2) of the origin `resource`.
#[must_use]
pub fn protected_resource(resource: &str, issuer: &str) -> Value {
    json!({
        "resource": resource,
        "authorization_servers": [issuer],
        // in the Authorization header, and neither in a form nor in the query (RFC 6750 sections 2.2 and 2.3)
        "bearer_methods_supported": ["header"],
    })
}

fn server(issuer: &str, prefix: &str, offered: Offered) -> Map<String, Value> {
    let mut document = Map::new();
    let mut say = |name: &str, value: Value| document.insert(name.to_owned(), value);
    say("issuer", json!(issuer));
    say("jwks_uri", json!(format!("{issuer}/.well-known/jwks.json")));
    // required members; there is no authorization endpoint that could answer with one
    say("response_types_supported", json!([]));
    let grants = [("refresh_token", offered.refresh_token), ("client_credentials", offered.client_credentials)];
    let grants: Vec<&str> = grants.into_iter().filter_map(|(name, on)| on.then_some(name)).collect();
    if !grants.is_empty() {
        say("token_endpoint", json!(format!("{issuer}{prefix}/token")));
        let methods = if offered.client_credentials {
            json!(["client_secret_basic", "private_key_jwt"])
        } else {
            json!(["none"])
        };
        say("token_endpoint_auth_methods_supported", methods);
    }
    say("grant_types_supported", json!(grants));
    if offered.revocation {
        say("revocation_endpoint", json!(format!("{issuer}{prefix}/revoke")));
        say("revocation_endpoint_auth_methods_supported", json!(["none"]));
    }
    if offered.client_credentials {
        say("introspection_endpoint", json!(format!("{issuer}{prefix}/introspect")));
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://app.example.com";

    #[test]
    fn a_gate_without_token_endpoints_claims_only_its_keys() {
        let document = authorization_server(ISSUER, "/.auth", Offered::default());
        assert_eq!(
            document,
            json!({
                "issuer": ISSUER,
                "jwks_uri": "https://app.example.com/.well-known/jwks.json",
                "response_types_supported": [],
                "grant_types_supported": [],
            })
        );
    }

    #[test]
    fn what_is_on_is_found_below_the_prefix() {
        let offered = Offered { refresh_token: true, client_credentials: true, revocation: true };
        let document = authorization_server(ISSUER, "/.auth", offered);
        assert_eq!(document["token_endpoint"], "https://app.example.com/.auth/token");
        assert_eq!(document["revocation_endpoint"], "https://app.example.com/.auth/revoke");
        assert_eq!(document["revocation_endpoint_auth_methods_supported"], json!(["none"]));
        assert_eq!(document["introspection_endpoint"], "https://app.example.com/.auth/introspect");
        assert_eq!(document["grant_types_supported"], json!(["refresh_token", "client_credentials"]));
    }

    #[test]
    fn the_issuer_stands_there_byte_for_byte() {
        let documents = [
            authorization_server(ISSUER, "/.auth", Offered::default())["issuer"].clone(),
            openid_configuration(ISSUER, "/.auth", Offered::default(), &Algorithm::ALL)["issuer"].clone(),
            protected_resource(ISSUER, ISSUER)["authorization_servers"][0].clone(),
        ];
        assert!(documents.iter().all(|issuer| issuer == ISSUER), "{documents:?}");
    }

    #[test]
    fn verifiers_that_begin_with_openid_discovery_find_keys_and_algorithms() {
        let document = openid_configuration(ISSUER, "/.auth", Offered::default(), &[Algorithm::Es256]);
        assert_eq!(document["jwks_uri"], "https://app.example.com/.well-known/jwks.json");
        assert_eq!(document["id_token_signing_alg_values_supported"], json!(["ES256"]));
        assert_eq!(document.get("authorization_endpoint"), None);
    }
}
