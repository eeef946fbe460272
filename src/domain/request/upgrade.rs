//! Which requests may leave HTTP: a whole RFC 6455 handshake, and nothing else.

use super::{Field, Framing, RawHead};
use http::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

/// Members of `Connection`; an honest handshake has two.
const MOST_NOMINATIONS: usize = 10;

/// What the client wants the connection to become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upgrade {
    /// Nothing, or nothing we take part in: `Upgrade` is removed on the way out.
    #[default]
    None,
    WebSocket,
}

/// RFC 6455 section 4.2.1. Half a handshake is an ordinary request: a proxy that upgrades more than its backend
/// does hands the client a raw connection to it.
pub(super) fn asked_for(head: &RawHead<'_>, upgrade: Field<'_>, framing: Framing) -> Upgrade {
    let whole = matches!(upgrade, Field::Once(value) if value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && head.method == Method::GET
        && head.version == Version::HTTP_11
        && framing == Framing::Unsaid
        && nominates_upgrade(head.headers)
        && only(head.headers, &SEC_WEBSOCKET_VERSION).is_some_and(|value| value.as_bytes() == b"13")
        && only(head.headers, &SEC_WEBSOCKET_KEY).is_some_and(|value| is_nonce(value.as_bytes()));
    if whole {
        Upgrade::WebSocket
    } else {
        Upgrade::None
    }
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Empty members count as well: whoever walks this list for every header must never find it long.
fn nominates_upgrade(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(CONNECTION).iter();
    let mut tokens = fields.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).fuse();
    let named = tokens.by_ref().take(MOST_NOMINATIONS).any(|token| token.trim_ascii().eq_ignore_ascii_case(b"upgrade"));
    named && tokens.take(MOST_NOMINATIONS).count() < MOST_NOMINATIONS
}

/// Base64 of 16 bytes: 22 characters and two of padding.
fn is_nonce(key: &[u8]) -> bool {
    let Some(characters) = key.strip_suffix(b"==") else {
        return false;
    };
    characters.len() == 22 && characters.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}
