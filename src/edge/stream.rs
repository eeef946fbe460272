//! One HTTP/2 request as Pingora sees it, with deadlines: bare Pingora waits for ever for the rest of a body, and cannot
//! tell a backend's time to the response header from the time between two pieces.
//!
//! What this stream says to Pingora is what an HTTP/1 connection (`guarded`) says: an error of the client's side, after
//! which an answer can still be given. Everything but reading is Pingora's own session.

use super::deadline::Alarm;
use super::exchange::Bounds;
use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream as Messages;
use http::HeaderMap;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::custom::server::Session;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::v2::server::HttpSession;
use pingora::protocols::http::HttpTask;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::Digest;
use pingora::{Error, ErrorType, Result};
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, Sleep};

pub(super) struct H2Stream {
    inner: HttpSession,
    /// Of this request. The deadline is the backend's.
    bounds: Arc<Bounds>,
    alarm: Alarm,
    /// Between two pieces of the request body, counted only while Pingora waits for one: a backend that takes nothing is
    /// not the client's fault.
    patience: Option<Duration>,
    silence: Option<Pin<Box<Sleep>>>,
}

impl H2Stream {
    pub(super) fn new(inner: HttpSession, bounds: Arc<Bounds>) -> Self {
        Self { inner, bounds, alarm: Alarm::default(), patience: None, silence: None }
    }

    /// Reads with `read`, while nobody is overdue.
    async fn read(&mut self, end: bool) -> Result<Option<Bytes>> {
        let Self { inner, bounds, alarm, patience, silence } = self;
        let waits_for_body = !end && !inner.is_body_done();
        let silent = async {
            match patience.filter(|_| waits_for_body) {
                Some(patience) => silence.get_or_insert_with(|| Box::pin(sleep(patience))).await,
                None => pending().await,
            }
        };
        let read = tokio::select! {
            biased;
            read = inner.read_body_or_idle(end) => read,
            () = poll_fn(|cx| alarm.poll(&bounds.deadline, cx)) => Error::e_explain(ErrorType::ReadError, "the backend is overdue"),
            () = silent => return Error::e_explain(ErrorType::ReadTimedout, "the request body stopped"),
        };
        *silence = None;
        read
    }
}

#[async_trait]
impl Session for H2Stream {
    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        if self.inner.is_body_done() {
            return Ok(None);
        }
        self.read(false).await
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        self.read(no_body_expected).await
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.patience = timeout;
        self.silence = None;
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.patience
    }

    fn req_header(&self) -> &RequestHeader {
        self.inner.req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.inner.req_header_mut()
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        self.inner.drain_request_body().await
    }

    async fn write_response_header(&mut self, header: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.inner.write_response_header(header, end)
    }

    async fn write_response_header_ref(&mut self, header: &ResponseHeader, end: bool) -> Result<()> {
        self.inner.write_response_header_ref(header, end)
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.inner.write_body(data, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.inner.write_trailers(trailers)
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        self.inner.response_duplex_vec(tasks).await
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.inner.set_write_timeout(timeout);
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.inner.get_write_timeout()
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.inner.set_total_drain_timeout(timeout);
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.inner.get_total_drain_timeout()
    }

    fn request_summary(&self) -> String {
        self.inner.request_summary()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.inner.response_written()
    }

    async fn shutdown(&mut self, _: u32, _: &str) {
        self.inner.shutdown();
    }

    fn is_body_done(&mut self) -> bool {
        self.inner.is_body_done()
    }

    async fn finish(&mut self) -> Result<()> {
        self.inner.finish()
    }

    fn is_body_empty(&mut self) -> bool {
        self.inner.is_body_empty()
    }

    fn body_bytes_sent(&self) -> usize {
        self.inner.body_bytes_sent()
    }

    fn body_bytes_read(&self) -> usize {
        self.inner.body_bytes_read()
    }

    fn digest(&self) -> Option<&Digest> {
        self.inner.digest()
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        self.inner.digest_mut()
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.inner.client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.inner.server_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.inner.pseudo_raw_h1_request_header()
    }

    fn enable_retry_buffering(&mut self) {
        self.inner.enable_retry_buffering();
    }

    fn retry_buffer_truncated(&self) -> bool {
        self.inner.retry_buffer_truncated()
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        self.inner.get_retry_buffer()
    }

    // HTTP/2 has no messages beside a request.

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(
        &mut self,
    ) -> Option<Box<dyn Messages<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>> {
        None
    }

    fn restore_custom_message_reader(
        &mut self,
        _: Box<dyn Messages<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>,
    ) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _: Box<dyn CustomMessageWrite>) -> Result<()> {
        Ok(())
    }
}
