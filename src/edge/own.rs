//! Requests to our own endpoints: their small bodies read whole, their answers sent.

use super::journey::{Journey, Stage};
use super::proxy::Proxy;
use super::{events, respond};
use crate::domain::denial::{Code, Denial};
use crate::pipeline::answer::Kind;
use crate::pipeline::own::{OwnRequest, MAX_BODY};
use crate::pipeline::Answer;
use bytes::{Bytes, BytesMut};
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use std::sync::Arc;

/// Answers `request` by our own endpoints.
pub(super) async fn serve(
    proxy: &Proxy,
    session: &mut Session,
    journey: &mut Journey,
    request: OwnRequest,
) -> Result<()> {
    let patience = journey.snapshot.limits.idle_timeout;
    let body = match tokio::time::timeout(patience, whole_body(session)).await {
        Ok(body) => body?.ok_or_else(|| Denial::new(Code::BodyTooLarge, "a body that none of our endpoints takes")),
        Err(_) => Err(Denial::new(Code::RequestTimeout, "a body for one of our endpoints did not arrive in time")),
    };
    let body = match body {
        Ok(body) => body,
        Err(denial) => return refuse(session, journey, denial).await,
    };
    let snapshot = Arc::clone(&journey.snapshot);
    let Some(endpoints) = snapshot.gate.endpoints() else {
        return Error::e_explain(ErrorType::InternalError, "our own endpoints are asked for, and there are none");
    };
    let request_id = journey.request_id().to_owned();
    let mut reply = endpoints.answer(OwnRequest { body, request_id, ..request }).await;
    journey.books.answered(reply.status.as_u16());
    if let Stage::Answered(answer) = &mut journey.stage {
        answer.kind = Kind::Served(reply.denial.take());
        answer.caller = reply.caller.take();
    }
    if let Some(watch) = reply.watch.take() {
        respond::begin(session, reply).await?;
        return events::send(proxy, session, *watch).await;
    }
    respond::reply(session, reply).await
}

async fn refuse(session: &mut Session, journey: &mut Journey, denial: Denial) -> Result<()> {
    let answer = Answer::from(denial);
    // what was not read would be taken for the next request
    session.set_keepalive(None);
    journey.books.answered(answer.status());
    let sent = respond::send(session, &answer, journey.request_id()).await;
    journey.stage = Stage::Answered(answer);
    sent
}

/// `None`: there is more than any of them takes.
async fn whole_body(session: &mut Session) -> Result<Option<Bytes>> {
    let mut body = BytesMut::new();
    while let Some(piece) = session.read_request_body().await? {
        if body.len() + piece.len() > MAX_BODY {
            return Ok(None);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Some(body.freeze()))
}
