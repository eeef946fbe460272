//! Where an issuer keeps its keys, by its own word (OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3).

use super::client::{is_allowed, Client, FetchError};
use http::StatusCode;
use reqwest::Url;
use serde::Deserialize;

/// What we read of the metadata document; the rest is for others.
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// The `jwks_uri` of `issuer`. Its documents are looked for at the place of OpenID Connect, then at that of RFC 8414.
///
/// # Errors
/// No document, or one that calls itself another issuer: that is the mix-up attack, and a slash more is enough.
pub async fn jwks_uri(client: &Client, issuer: &str) -> Result<Url, FetchError> {
    let document = document(client, issuer).await?;
    let metadata: Metadata =
        serde_json::from_slice(&document).map_err(|_| FetchError::Discovery("is not what the standard says"))?;
    if metadata.issuer != issuer {
        return Err(FetchError::Discovery("names another issuer"));
    }
    let uri = Url::parse(&metadata.jwks_uri).ok().filter(is_allowed);
    uri.ok_or(FetchError::Discovery("has a jwks_uri that is neither https nor http to loopback"))
}

/// Whatever stands at the well-known place of `issuer`. Whether it calls itself so is for the reader to check.
///
/// # Errors
/// No document.
pub async fn document(client: &Client, issuer: &str) -> Result<Vec<u8>, FetchError> {
    let places = places(issuer).ok_or_else(|| FetchError::NotAllowed(issuer.escape_debug().to_string()))?;
    let [openid, oauth] = places;
    let answer = match client.get(&openid).await {
        Err(FetchError::Status(_, StatusCode::NOT_FOUND)) => client.get(&oauth).await?,
        other => other?,
    };
    Ok(answer.body)
}

/// `{issuer}/.well-known/openid-configuration`, a final slash of the issuer left out first, and
/// `{origin}/.well-known/oauth-authorization-server{path}`.
fn places(issuer: &str) -> Option<[Url; 2]> {
    let base = Url::parse(issuer).ok().filter(is_allowed)?;
    if base.query().is_some() || base.fragment().is_some() {
        return None;
    }
    let path = base.path().trim_end_matches('/');
    let at = |path: &str| {
        let mut url = base.clone();
        url.set_path(path);
        url
    };
    Some([
        at(&format!("{path}/.well-known/openid-configuration")),
        at(&format!("/.well-known/oauth-authorization-server{path}")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_slash_is_not_doubled() {
        for issuer in ["https://id.example.com", "https://id.example.com/"] {
            let [openid, oauth] = places(issuer).unwrap();
            assert_eq!(openid.as_str(), "https://id.example.com/.well-known/openid-configuration");
            assert_eq!(oauth.as_str(), "https://id.example.com/.well-known/oauth-authorization-server");
        }
    }

    #[test]
    fn the_path_of_a_tenant_stands_on_the_side_each_standard_wants() {
        let [openid, oauth] = places("https://id.example.com/realms/a/").unwrap();
        assert_eq!(openid.path(), "/realms/a/.well-known/openid-configuration");
        assert_eq!(oauth.path(), "/.well-known/oauth-authorization-server/realms/a");
    }

    #[test]
    fn an_issuer_that_is_no_plain_url_has_no_place() {
        for issuer in ["my-issuer", "http://id.example.com", "https://id.example.com/?a=b", "https://id.example.com/#a"]
        {
            assert!(places(issuer).is_none(), "{issuer}");
        }
    }
}
