//! What the server's refusals mean to whoever runs it.

use crate::ports::store::StoreError;
use ::redis::{ErrorKind, RedisError, RetryMethod, ServerErrorKind};

/// The longest piece of the server's own words we pass on.
const QUOTED: usize = 160;

pub(super) fn of(error: &RedisError) -> StoreError {
    StoreError(match meaning(error) {
        Some(meaning) => meaning.to_owned(),
        None => quote(error),
    })
}

/// The server has never seen this script, or forgot it.
pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// Nothing came back, and nobody said why.
pub(super) fn is_silence(error: &RedisError) -> bool {
    error.is_io_error() || error.kind() == ErrorKind::ClusterConnectionNotFound
}

/// The server is there, and has no place for what it was to keep.
pub(super) fn is_full(error: &RedisError) -> bool {
    matches!(error.code(), Some("OOM" | "MISCONF" | "NOREPLICAS"))
}

/// Whether this connection will serve nobody again. A server that became a replica keeps its connections: only a new
/// one finds the primary.
pub(super) fn needs_new_connection(error: &RedisError) -> bool {
    let demoted = matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown));
    let anonymous = matches!(error.code(), Some("NOAUTH" | "WRONGPASS"));
    demoted || anonymous || matches!(error.retry_method(), RetryMethod::Reconnect)
}

fn meaning(error: &RedisError) -> Option<&'static str> {
    // rustls says it in the words of the error within
    if error.is_io_error() && error.to_string().contains("invalid peer certificate") {
        return Some("its certificate is not for this host, or of an authority we do not know (store.ca)");
    }
    if error.is_timeout() {
        return Some("no answer in time");
    }
    if error.is_connection_refusal() {
        return Some("nobody listens there");
    }
    if error.is_connection_dropped() {
        return Some("the connection broke");
    }
    if let Some(meaning) = error.code().and_then(code) {
        return Some(meaning);
    }
    Some(match error.kind() {
        ErrorKind::AuthenticationFailed => "the user name or password is wrong",
        ErrorKind::RESP3NotSupported => "the server is older than Redis 6",
        ErrorKind::MasterNameNotFoundBySentinel => "no sentinel knows a primary of this name, or none answers",
        ErrorKind::ClusterConnectionNotFound => "no node of the cluster that could answer is reachable",
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => "what answers there does not speak Redis",
        ErrorKind::InvalidClientConfig => "these settings cannot work together, or a certificate cannot be read",
        _ => return None,
    })
}

fn code(code: &str) -> Option<&'static str> {
    Some(match code {
        "READONLY" => "the server is a replica and takes no writes",
        "NOAUTH" => "the server wants a password",
        "WRONGPASS" => "the user name or password is wrong",
        "NOPERM" => "its access list does not let our user run this command on these keys",
        "OOM" => "the server is out of memory",
        "MISCONF" => "the server refuses writes because it cannot save to disk",
        "NOREPLICAS" => "the server refuses writes because it has too few replicas",
        "LOADING" => "the server is still reading its data",
        "MASTERDOWN" => "a replica that lost its primary",
        "CLUSTERDOWN" => "the cluster has no quorum, or a part without a node",
        "MOVED" | "ASK" | "TRYAGAIN" => "the cluster keeps moving the key: settings name a node of another cluster?",
        "CROSSSLOT" => "the keys of one user are scattered over the cluster",
        "BUSY" => "the server is busy with somebody's endless script",
        "UNKILLABLE" => "the server hangs in somebody's endless script",
        _ => return None,
    })
}

/// Code and detail of an answer of the server. Our arguments are ids, hashes and sealed bytes, and it quotes none.
fn quote(error: &RedisError) -> String {
    let words = match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => error.category().to_owned(),
    };
    words.chars().filter(|c| !c.is_control()).take(QUOTED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn broken_connections_are_told_apart_from_refusals() {
        let refused = RedisError::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        let late = RedisError::from(io::Error::from(io::ErrorKind::TimedOut));
        let broken = RedisError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(of(&refused).0, "nobody listens there");
        assert_eq!(of(&late).0, "no answer in time");
        assert_eq!(of(&broken).0, "the connection broke");
        assert!(needs_new_connection(&broken) && !needs_new_connection(&late));
    }
}
