//! Where a browser is sent to sign in (RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1, RFC 7636).

use super::{Attempt, Metadata, ProviderSettings};
use url::Url;

/// What may be asked beyond the usual.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asking<'a> {
    pub prompt: Option<Prompt>,
    /// In order of preference; what came of it stands in `acr`.
    pub acr_values: &'a [String],
    /// Who is probably signing in.
    pub login_hint: Option<&'a str>,
}

/// Whether the provider may, or must, show something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    None,
    Login,
    Consent,
    SelectAccount,
}

/// The authorization endpoint with everything a code must be asked with. A query the endpoint already has is kept.
#[must_use]
pub fn authorization_url(
    metadata: &Metadata,
    settings: &ProviderSettings,
    attempt: &Attempt,
    asking: &Asking<'_>,
) -> Url {
    let mut url = metadata.authorization_endpoint.clone();
    let mut query = url.query_pairs_mut();
    query
        .append_pair("response_type", "code")
        .append_pair("client_id", &settings.client_id)
        .append_pair("redirect_uri", &attempt.redirect_uri)
        .append_pair("scope", &scope(&settings.scopes))
        .append_pair("state", attempt.state.expose())
        .append_pair("nonce", attempt.nonce.expose())
        .append_pair("code_challenge", &attempt.verifier.challenge())
        .append_pair("code_challenge_method", "S256");
    if let Some(prompt) = asking.prompt {
        query.append_pair("prompt", prompt.name());
    }
    if let Some(age) = attempt.max_age {
        query.append_pair("max_age", &age.as_secs().to_string());
    }
    if !asking.acr_values.is_empty() {
        query.append_pair("acr_values", &asking.acr_values.join(" "));
    }
    if let Some(hint) = asking.login_hint {
        query.append_pair("login_hint", hint);
    }
    drop(query);
    url
}

/// Without `openid` it would be no sign-in, and no ID token would come back.
fn scope(scopes: &[String]) -> String {
    let asked = scopes.iter().map(String::as_str).filter(|scope| *scope != "openid");
    std::iter::once("openid").chain(asked).collect::<Vec<_>>().join(" ")
}

impl Prompt {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Login => "login",
            Self::Consent => "consent",
            Self::SelectAccount => "select_account",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{attempt, metadata, settings};
    use super::*;
    use std::collections::HashMap;
    use std::time::Duration;

    fn query(url: &Url) -> HashMap<String, String> {
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let (count, map): (usize, HashMap<_, _>) = (pairs.len(), pairs.into_iter().collect());
        assert_eq!(map.len(), count, "no parameter twice");
        map
    }

    #[test]
    fn a_code_is_asked_for_with_everything_that_ties_it_to_this_attempt() {
        let attempt = attempt();
        let url = authorization_url(&metadata(), &settings(), &attempt, &Asking::default());
        let query = query(&url);
        let expected = [
            ("response_type", "code"),
            ("client_id", "doorward"),
            ("redirect_uri", "https://app.example.com/.auth/callback/id"),
            ("scope", "openid profile email"),
            ("state", attempt.state.expose()),
            ("nonce", attempt.nonce.expose()),
            ("code_challenge", &attempt.verifier.challenge()),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in expected {
            assert_eq!(query[name], value, "{name}");
        }
        assert_eq!(query.len(), expected.len());
        assert!(!url.as_str().contains(attempt.verifier.expose()), "the verifier stays here");
    }

    #[test]
    fn a_query_of_the_endpoint_is_kept() {
        let mut metadata = metadata();
        metadata.authorization_endpoint = Url::parse("https://id.example.com/authorize?tenant=a%26b").unwrap();
        let url = authorization_url(&metadata, &settings(), &attempt(), &Asking::default());
        assert!(url.as_str().starts_with("https://id.example.com/authorize?tenant=a%26b&response_type=code&"));
        assert_eq!(query(&url)["tenant"], "a&b");
    }

    #[test]
    fn values_are_encoded_and_cannot_become_parameters() {
        let mut settings = settings();
        settings.client_id = "a&scope=x #\u{e9}".to_owned();
        let asking = Asking { login_hint: Some("alice@example.com&prompt=none"), ..Asking::default() };
        let url = authorization_url(&metadata(), &settings, &attempt(), &asking);
        let query = query(&url);
        assert_eq!(query["client_id"], "a&scope=x #\u{e9}");
        assert_eq!(query["login_hint"], "alice@example.com&prompt=none");
        assert!(url.fragment().is_none() && !query.contains_key("prompt"));
    }

    #[test]
    fn more_is_asked_only_when_wanted() {
        let mut attempt = attempt();
        attempt.max_age = Some(Duration::from_secs(300));
        let acr = ["mfa".to_owned(), "phr".to_owned()];
        for (prompt, name) in [
            (Prompt::None, "none"),
            (Prompt::Login, "login"),
            (Prompt::Consent, "consent"),
            (Prompt::SelectAccount, "select_account"),
        ] {
            let asking = Asking { prompt: Some(prompt), acr_values: &acr, login_hint: None };
            let query = query(&authorization_url(&metadata(), &settings(), &attempt, &asking));
            assert_eq!((query["prompt"].as_str(), query["acr_values"].as_str()), (name, "mfa phr"));
            assert_eq!(query["max_age"], "300");
        }
    }

    #[test]
    fn openid_is_asked_for_once_whatever_is_configured() {
        for (configured, sent) in
            [(&["email"][..], "openid email"), (&["email", "openid"], "openid email"), (&[], "openid")]
        {
            let scopes: Vec<String> = configured.iter().map(|scope| (*scope).to_owned()).collect();
            assert_eq!(scope(&scopes), sent);
        }
    }
}
