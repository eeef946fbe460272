//! A client stream with deadlines. Bare Pingora waits for ever for a silent socket, a dripped header or the rest of an
//! HTTP/2 preface; this stream stands under everything (below TLS too) and ends such connections.
//!
//! While a request head is awaited, it must be complete within the header timeout from its first byte, or from the
//! beginning of the connection, and within the byte cap. While an HTTP/1 request is served, the backend's deadlines are
//! watched here: Pingora reads from the client all the while, to notice when it leaves.

use super::connection::Connection;
use super::deadline::Alarm;
use crate::ports::EdgeEvents;
use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
};
use std::future::Future;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Sleep;

/// Enough for a response head and a small body in one segment; larger writes go straight through.
const WRITE_BUFFER: usize = 4096;
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A socket of either kind. Reads are not buffered here: Pingora reads into its own buffers.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(BufWriter<TcpStream>),
    Unix(BufWriter<UnixStream>),
}

/// How long and how large a request head may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadLimits {
    pub(super) within: Duration,
    /// Bytes on the wire, TLS records included.
    pub(super) bytes: usize,
}

#[derive(Debug)]
pub(super) struct Guarded {
    socket: Socket,
    limits: HeadLimits,
    connection: Option<Arc<Connection>>,
    /// Bytes looked at before HTTP began; read again first.
    peeked: BytesMut,
    /// Bytes of the head awaited, and in which turn of the connection.
    head_bytes: usize,
    turn: u32,
    deadline: Option<Pin<Box<Sleep>>>,
    /// Of the connection's own deadline.
    alarm: Alarm,
    events: Arc<dyn EdgeEvents>,
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(BufWriter::with_capacity(WRITE_BUFFER, stream))
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(BufWriter::with_capacity(WRITE_BUFFER, stream))
    }
}

impl Guarded {
    pub(super) fn new(socket: Socket, limits: HeadLimits, events: Arc<dyn EdgeEvents>) -> Self {
        Self {
            socket,
            limits,
            connection: None,
            peeked: BytesMut::new(),
            head_bytes: 0,
            turn: 0,
            deadline: None,
            alarm: Alarm::default(),
            events,
        }
    }

    /// From here on the stream watches what its connection expects.
    pub(super) fn introduce(&mut self, connection: &Arc<Connection>) {
        self.connection = Some(Arc::clone(connection));
    }

    /// Reads until at least `wanted` bytes are at hand without consuming them; fewer only at the end of the stream.
    pub(super) async fn look(&mut self, wanted: usize) -> io::Result<&[u8]> {
        while self.peeked.len() < wanted {
            let read = match &mut self.socket {
                Socket::Tcp(stream) => stream.get_mut().read_buf(&mut self.peeked).await?,
                Socket::Unix(stream) => stream.get_mut().read_buf(&mut self.peeked).await?,
            };
            if read == 0 {
                break;
            }
        }
        Ok(&self.peeked)
    }

    /// Drops the first `count` of the bytes looked at.
    pub(super) fn consume(&mut self, count: usize) {
        self.peeked.advance(count.min(self.peeked.len()));
    }

    /// Whether the client speaks HTTP/2 with prior knowledge. The first byte that differs settles it, so a short
    /// HTTP/1 request never waits for the rest of a preface.
    pub(super) async fn speaks_h2(&mut self) -> io::Result<bool> {
        for wanted in 1..=H2_PREFACE.len() {
            let seen = self.look(wanted).await?;
            if seen.len() < wanted || !H2_PREFACE.starts_with(seen.get(..wanted).unwrap_or_default()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn awaits_head(&mut self) -> bool {
        let Some(connection) = &self.connection else { return true };
        let turn = connection.turn();
        if turn != self.turn {
            self.turn = turn;
            self.head_bytes = 0;
            self.deadline = None;
        }
        turn & 1 == 0
    }

    /// Between two requests the client may idle for a while; before the first and within a head it must get on.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.turn > 0 && self.head_bytes == 0 {
            return self.poll_overdue(cx);
        }
        let limit = self.limits.within;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        deadline.as_mut().poll(cx).map(|()| io::ErrorKind::TimedOut.into())
    }

    /// Rings when what the connection expects is overdue.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some(connection) = &self.connection else { return Poll::Pending };
        self.alarm.poll(connection.deadline(), cx).map(|()| io::ErrorKind::TimedOut.into())
    }

    fn poll_socket(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream.get_mut()).poll_read(cx, buf),
            Socket::Unix(stream) => Pin::new(stream.get_mut()).poll_read(cx, buf),
        }
    }
}

/// A head that was begun and never became a request: the parser refused it, it took too long, or it was abandoned.
impl Drop for Guarded {
    fn drop(&mut self) {
        if self.awaits_head() && self.head_bytes > 0 {
            self.events.head_failed();
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let awaits_head = self.awaits_head();
        let before = buf.filled().len();
        if self.peeked.has_remaining() {
            let count = self.peeked.len().min(buf.remaining());
            buf.put_slice(&self.peeked.split_to(count));
        } else if awaits_head {
            match self.poll_socket(cx, buf) {
                Poll::Ready(read) => read?,
                Poll::Pending => return self.poll_deadline(cx).map(Err),
            }
        } else {
            match self.poll_socket(cx, buf) {
                Poll::Ready(read) => read?,
                Poll::Pending => return self.poll_overdue(cx).map(Err),
            }
        }
        if awaits_head {
            self.head_bytes += buf.filled().len() - before;
            let capped = self.connection.as_ref().is_none_or(|connection| connection.caps_heads());
            if capped && self.head_bytes > self.limits.bytes {
                return Poll::Ready(Err(io::Error::other("request head above the cap")));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Socket::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Socket::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

#[async_trait]
impl Shutdown for Guarded {
    async fn shutdown(&mut self) {
        // The peer may be gone already; there is nobody to tell.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

#[async_trait]
impl Peek for Guarded {
    /// Pingora asks for an HTTP/2 preface here; it was looked for before, so only what is at hand is shown.
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        let count = self.peeked.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..count), self.peeked.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(true)
    }
}

impl UniqueID for Guarded {
    fn id(&self) -> i32 {
        match &self.socket {
            Socket::Tcp(stream) => stream.get_ref().as_raw_fd(),
            Socket::Unix(stream) => stream.get_ref().as_raw_fd(),
        }
    }
}

impl Ssl for Guarded {}

impl GetTimingDigest for Guarded {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Guarded {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Guarded {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}
