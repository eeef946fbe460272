//! From Pingora's errors to answers: whose fault was it, and may anything still be said?

use crate::domain::denial::{Code, Denial};
use pingora::ErrorType::{
    BindError, ConnectError, ConnectNoRoute, ConnectRefused, ConnectTimedout, ConnectionClosed, HTTPStatus, ReadError,
    ReadTimedout, SocketError, TLSHandshakeTimedout, WriteError, WriteTimedout,
};
use pingora::{Error, ErrorSource};

/// The refusal for a request that was admitted but could not be forwarded, or `None` when the client is gone and
/// there is nobody to tell. `known` is what our own hooks found out before.
pub(super) fn of(error: &Error, known: Option<Denial>) -> Option<Denial> {
    if known.is_some() {
        return known;
    }
    let denial = |code, detail| Some(Denial::new(code, detail));
    match (error.etype(), error.esource()) {
        (HTTPStatus(503), _) => denial(Code::UpstreamUnavailable, "the upstream has no address"),
        (ConnectTimedout | ReadTimedout | WriteTimedout | TLSHandshakeTimedout, ErrorSource::Upstream) => {
            Some(overdue())
        }
        (ConnectRefused | ConnectNoRoute | ConnectError | SocketError | BindError, ErrorSource::Upstream) => {
            denial(Code::UpstreamUnavailable, "the upstream does not accept connections")
        }
        (_, ErrorSource::Upstream) => denial(Code::UpstreamError, "the upstream broke off or made no sense"),
        // The source of a local read that timed out is not set.
        (ReadTimedout, _) => denial(Code::RequestTimeout, "the request body did not arrive in time"),
        (ConnectionClosed | ReadError | WriteError | WriteTimedout, ErrorSource::Downstream) => None,
        (_, ErrorSource::Downstream) => denial(Code::BadRequest, "the request could not be read"),
        (_, ErrorSource::Internal | ErrorSource::Unset) => denial(Code::Internal, "an error of our own"),
    }
}

/// The upstream was silent for longer than it may be.
pub(super) fn overdue() -> Denial {
    Denial::new(Code::UpstreamTimeout, "the upstream took too long")
}

/// Every name of the upstream is unknown right now.
pub(super) fn no_address() -> Box<Error> {
    Error::explain(HTTPStatus(503), "the upstream has no address")
}
