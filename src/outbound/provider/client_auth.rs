//! How we prove to the provider who we are (RFC 6749 section 2.3.1, OpenID Connect Core section 9).

use crate::domain::oidc::callback::Refusal;
use crate::domain::oidc::metadata::ClientAuth;
use crate::domain::oidc::{Metadata, ProviderSettings};
use crate::ports::provider::ProviderError;
use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use form_urlencoded::byte_serialize;
use http::HeaderValue;
use zeroize::Zeroizing;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// `client_secret_basic`
    Basic,
    /// `client_secret_post`
    Post,
    /// `none`: PKCE is all the proof there is.
    Public,
}

impl Way {
    /// Basic before the other: a body is logged more often than an `Authorization` header.
    ///
    /// # Errors
    /// The provider takes no secret in a way that we know.
    pub(super) fn first(
        settings: &ProviderSettings,
        metadata: &Metadata,
        posts_secret: bool,
    ) -> Result<Self, ProviderError> {
        if settings.secret().is_none() {
            return Ok(Self::Public);
        }
        let offers = |way| metadata.client_auth.contains(&way);
        match (offers(ClientAuth::Basic), offers(ClientAuth::Post)) {
            (true, true) if posts_secret => Ok(Self::Post),
            (true, _) => Ok(Self::Basic),
            (false, true) => Ok(Self::Post),
            (false, false) => Err(ProviderError::Refused(Refusal::new(
                "no_known_client_authentication",
                Some("the provider takes a client secret neither as Basic nor in the form"),
            ))),
        }
    }

    /// What is worth another try when the provider does not take this one.
    pub(super) fn other(self, metadata: &Metadata) -> Option<Self> {
        let offers = |way| metadata.client_auth.contains(&way);
        match self {
            Self::Basic => offers(ClientAuth::Post).then_some(Self::Post),
            Self::Post => offers(ClientAuth::Basic).then_some(Self::Basic),
            Self::Public => None,
        }
    }

    /// The `Authorization` header and the form of a request with these parameters.
    ///
    /// # Errors
    /// The credentials fit no header, which their encoding prevents.
    pub(super) fn write(
        self,
        settings: &ProviderSettings,
        pairs: &[(&str, &[u8])],
    ) -> Result<(Option<HeaderValue>, Zeroizing<String>), ProviderError> {
        let id = settings.client_id.as_bytes();
        let secret = settings.secret().map(|secret| secret.expose()).unwrap_or_default();
        match self {
            Self::Basic => Ok((Some(basic(id, secret)?), form(pairs.iter().copied()))),
            Self::Post => {
                let ours = [("client_id", id), ("client_secret", secret)];
                Ok((None, form(pairs.iter().copied().chain(ours))))
            }
            Self::Public => Ok((None, form(pairs.iter().copied().chain([("client_id", id)])))),
        }
    }
}

/// Both are form-encoded first, so that an id may hold a colon and a secret anything.
fn basic(id: &[u8], secret: &[u8]) -> Result<HeaderValue, ProviderError> {
    let mut pair: Zeroizing<String> = Zeroizing::new(byte_serialize(id).collect());
    pair.push(':');
    pair.extend(byte_serialize(secret));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let value = HeaderValue::from_str(&text);
    let mut value = value.map_err(|_| ProviderError::Refused(Refusal::new("odd_client_secret", None)))?;
    value.set_sensitive(true);
    Ok(value)
}

/// `application/x-www-form-urlencoded`
fn form<'p>(pairs: impl Iterator<Item = (&'p str, &'p [u8])>) -> Zeroizing<String> {
    let mut body = Zeroizing::new(String::new());
    for (name, value) in pairs {
        if !body.is_empty() {
            body.push('&');
        }
        body.extend(byte_serialize(name.as_bytes()));
        body.push('=');
        body.extend(byte_serialize(value));
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::oidc::fixture::{metadata, settings};
    use crate::domain::secret::Secret;

    #[test]
    fn basic_encodes_id_and_secret_before_it_joins_them() {
        let header = basic("a:b \u{e9}".as_bytes(), b"p%/+&:").unwrap();
        let text = STANDARD.decode(header.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "a%3Ab+%C3%A9:p%25%2F%2B%26%3A");
        assert!(header.is_sensitive());
    }

    #[test]
    fn basic_sends_no_credential_in_the_form() {
        let (header, form) = Way::Basic.write(&settings(), &[("code", b"x&y=z")]).unwrap();
        assert!(header.is_some());
        assert_eq!(form.as_str(), "code=x%26y%3Dz");
    }

    #[test]
    fn post_sends_id_and_secret_in_the_form_and_none_sends_the_id() {
        let (header, form) = Way::Post.write(&settings(), &[("code", b"x")]).unwrap();
        assert!(header.is_none());
        assert_eq!(form.as_str(), "code=x&client_id=doorward&client_secret=s3cret");
        let (header, form) = Way::Public.write(&settings(), &[("code", b"x")]).unwrap();
        assert!(header.is_none());
        assert_eq!(form.as_str(), "code=x&client_id=doorward");
    }

    #[test]
    fn the_way_is_the_first_that_both_sides_know() {
        let offered = |ways: &[ClientAuth]| {
            let mut metadata = metadata();
            metadata.client_auth = ways.to_vec();
            metadata
        };
        let first = |ways: &[ClientAuth], posts| Way::first(&settings(), &offered(ways), posts);
        assert_eq!(first(&[ClientAuth::Post, ClientAuth::Basic], false), Ok(Way::Basic));
        assert_eq!(first(&[ClientAuth::Post, ClientAuth::Basic], true), Ok(Way::Post));
        assert_eq!(first(&[ClientAuth::Post], false), Ok(Way::Post));
        assert_eq!(first(&[ClientAuth::Basic], true), Ok(Way::Basic));
        assert!(matches!(first(&[], false), Err(ProviderError::Refused(_))));
    }

    #[test]
    fn a_client_without_a_secret_is_public_whatever_is_offered() {
        for secret in [None, Some(Secret::new(Vec::new()))] {
            let mut public = settings();
            public.client_secret = secret;
            assert_eq!(Way::first(&public, &metadata(), false), Ok(Way::Public));
            assert_eq!(Way::Public.other(&metadata()), None);
        }
    }
}
