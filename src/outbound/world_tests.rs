//! The real client against a real server on loopback.

use super::client::{Call, Client, Content, FetchError, CALL_TIMEOUT, MAX_BODY};
use super::discovery::jwks_uri;
use super::keyring::{Keyring, Refresh};
use super::server::{Server, TlsServer};
use crate::config::settings::{IssuerSettings, KeyOrigin, Remote};
use crate::domain::token::fixture::{issuer, jwk};
use bytes::Bytes;
use http::header::LOCATION;
use http::{Response, StatusCode};
use reqwest::Url;
use serde_json::{json, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";

fn install_tls() {
    // already there when another test was faster
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

async fn client(issuer: &str, remote: Remote) -> Client {
    install_tls();
    Client::new(issuer, &remote).await.unwrap()
}

/// Discovery as `server` would give it if it were called `issuer`.
fn metadata(issuer: &str, server: &Server) -> String {
    json!({ "issuer": issuer, "jwks_uri": format!("{}/jwks", server.url), "response_types_supported": [] }).to_string()
}

fn key_set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

fn keyring(url: &str, keys: KeyOrigin) -> Arc<Keyring> {
    install_tls();
    let mut issuer = issuer();
    issuer.issuer = url.to_owned();
    Keyring::spawn(&IssuerSettings { issuer: Arc::new(issuer), keys })
}

fn url(server: &Server, path: &str) -> Url {
    Url::parse(&format!("{}{path}", server.url)).unwrap()
}

fn file(directory: &tempfile::TempDir, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn keys_are_found_by_discovery_and_rotated_ones_when_they_are_needed() {
    let server = Server::start().await;
    server.put(OPENID, metadata(&server.url, &server));
    server.put("/jwks", key_set(&[jwk("rsa-a")]));
    let ring = keyring(&server.url, KeyOrigin::Discovery(Remote::default()));
    assert_eq!(ring.refreshed_for_unknown_key(0).await, Refresh::Refreshed);
    assert!(ring.current().set.has("rsa-a"));
    server.put("/jwks", key_set(&[jwk("p256")]));
    let seen = ring.current().generation;
    assert_eq!(ring.refreshed_for_unknown_key(seen).await, Refresh::Refreshed);
    assert!(ring.current().set.has("p256") && !ring.current().set.has("rsa-a"));
    assert_eq!(server.paths(), [OPENID, "/jwks", "/jwks"]);
}

#[tokio::test]
async fn discovery_falls_back_to_the_place_of_rfc_8414_only_when_there_is_nothing() {
    let server = Server::start().await;
    server.put(OAUTH, metadata(&server.url, &server));
    let client = client(&server.url, Remote::default()).await;
    assert_eq!(jwks_uri(&client, &server.url).await.unwrap().path(), "/jwks");
    let broken = Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).body(Bytes::new()).unwrap();
    server.put_response(OPENID, broken);
    assert!(matches!(jwks_uri(&client, &server.url).await, Err(FetchError::Status(..))));
}

#[tokio::test]
async fn a_document_that_calls_itself_another_issuer_is_refused() {
    let server = Server::start().await;
    let client = client(&server.url, Remote::default()).await;
    for name in [format!("{}/", server.url), "https://id.example.com".to_owned(), server.url.to_uppercase()] {
        server.put(OPENID, metadata(&name, &server));
        assert!(
            matches!(jwks_uri(&client, &server.url).await, Err(FetchError::Discovery("names another issuer"))),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_key_set_in_clear_text_elsewhere_is_refused() {
    let server = Server::start().await;
    let client = client(&server.url, Remote::default()).await;
    for place in ["http://id.example.com/jwks", "http://169.254.169.254/", "file:///etc/passwd", "jwks", ""] {
        server.put(OPENID, json!({ "issuer": server.url, "jwks_uri": place }).to_string());
        assert!(matches!(jwks_uri(&client, &server.url).await, Err(FetchError::Discovery(_))), "{place}");
    }
}

#[tokio::test]
async fn an_error_shows_where_it_happened_and_no_query() {
    let server = Server::start().await;
    let client = client(&server.url, Remote::default()).await;
    // taken, so that nobody else is given it, and nobody listens there
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let closed = taken.local_addr().unwrap();
    let nobody = Url::parse(&format!("http://{closed}/judge?key=hush#hush")).unwrap();
    for (at, path) in [(url(&server, "/judge?key=hush"), "/judge answered"), (nobody, "/judge:")] {
        let error = client.get(&at).await.unwrap_err();
        assert!(error.to_string().contains(path), "{error}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
    let content = Content::Form("code=hush".to_owned().into());
    let at = url(&server, "/?key=hush");
    let call = Call { url: &at, authorization: None, content, within: CALL_TIMEOUT };
    assert!(!format!("{call:?}").contains("hush"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Server::start().await;
    server.put("/jwks", key_set(&[jwk("rsa-a")]));
    let moved = Response::builder().status(StatusCode::FOUND).header(LOCATION, "/jwks").body(Bytes::new()).unwrap();
    server.put_response("/moved", moved);
    let answer = client(&server.url, Remote::default()).await.get(&url(&server, "/moved")).await;
    assert!(matches!(answer, Err(FetchError::Status(_, StatusCode::FOUND))));
    assert_eq!(server.paths(), ["/moved"]);
}

#[tokio::test]
async fn a_body_is_read_up_to_one_mebibyte() {
    let server = Server::start().await;
    server.put("/fits", vec![b' '; MAX_BODY]);
    server.put("/huge", vec![b' '; MAX_BODY + 1]);
    let client = client(&server.url, Remote::default()).await;
    assert_eq!(client.get(&url(&server, "/fits")).await.unwrap().body.len(), MAX_BODY);
    assert!(matches!(client.get(&url(&server, "/huge")).await, Err(FetchError::TooLarge)));
}

#[tokio::test]
async fn the_bearer_token_goes_to_the_issuer_and_to_nobody_else() {
    let (home, elsewhere) = (Server::start().await, Server::start().await);
    let directory = tempfile::tempdir().unwrap();
    let bearer = file(&directory, "token", "first\n");
    let client = client(&home.url, Remote { ca: None, bearer: Some(bearer.clone()) }).await;
    client.get(&url(&home, "/a")).await.unwrap_err();
    file(&directory, "token", "second");
    client.get(&url(&home, "/b")).await.unwrap_err();
    client.get(&url(&elsewhere, "/c")).await.unwrap_err();
    let sent = |path: &str, token: &str| (path.to_owned(), Some(format!("Bearer {token}")));
    assert_eq!(home.asked(), [sent("/a", "first"), sent("/b", "second")]);
    assert_eq!(elsewhere.asked(), [("/c".to_owned(), None)]);
    std::fs::remove_file(bearer).unwrap();
    assert!(matches!(client.get(&url(&home, "/d")).await, Err(FetchError::File { .. })), "never without its token");
}

#[tokio::test]
async fn an_answer_that_is_no_key_set_is_no_answer() {
    let server = Server::start().await;
    server.put("/jwks", "<html>come back later</html>");
    let ring = keyring(&server.url, KeyOrigin::JwksUrl(format!("{}/jwks", server.url), Remote::default()));
    assert_eq!(ring.refreshed_for_unknown_key(0).await, Refresh::Unavailable);
    assert!(!ring.available() && !ring.up());
}

#[tokio::test]
async fn a_configured_key_set_needs_no_discovery_and_no_url_for_a_name() {
    let server = Server::start().await;
    server.put("/jwks", key_set(&[jwk("ed25519")]));
    let ring = keyring("my-issuer", KeyOrigin::JwksUrl(format!("{}/jwks", server.url), Remote::default()));
    assert_eq!(ring.refreshed_for_unknown_key(0).await, Refresh::Refreshed);
    assert_eq!(server.paths(), ["/jwks"]);
}

#[tokio::test]
async fn a_ca_file_that_cannot_be_read_or_holds_nothing_is_reported() {
    install_tls();
    let directory = tempfile::tempdir().unwrap();
    let empty = file(&directory, "ca.pem", "");
    for ca in [empty.as_path(), Path::new("/nowhere/ca.pem")] {
        let remote = Remote { ca: Some(ca.to_owned()), bearer: None };
        assert!(matches!(Client::new("https://id.example.com", &remote).await, Err(FetchError::File { .. })));
    }
}

#[tokio::test]
async fn a_changed_key_file_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "jwks.json", key_set(&[jwk("rsa-a")]));
    let ring = keyring("my-issuer", KeyOrigin::JwksFile(path));
    assert_eq!(ring.refreshed_for_unknown_key(0).await, Refresh::Refreshed);
    file(&directory, "jwks.json", key_set(&[jwk("p256")]));
    let seen = ring.current().generation;
    assert_eq!(ring.refreshed_for_unknown_key(seen).await, Refresh::Refreshed);
    assert!(ring.current().set.has("p256"));
}

#[tokio::test]
async fn https_believes_the_configured_ca_and_no_other() {
    let tls = TlsServer::start();
    let directory = tempfile::tempdir().unwrap();
    let ours = file(&directory, "ours.pem", &tls.ca);
    let other = file(&directory, "other.pem", TlsServer::start().ca);
    let url = Url::parse(&tls.url).unwrap();
    let with = |ca: PathBuf| Remote { ca: Some(ca), bearer: None };
    let trusting = client(&tls.url, with(ours)).await;
    assert_eq!(trusting.get(&url).await.unwrap().body, b"{}");
    for remote in [with(other), Remote::default()] {
        let doubting = client(&tls.url, remote).await;
        assert!(matches!(doubting.get(&url).await, Err(FetchError::Unreached(..))));
    }
}
