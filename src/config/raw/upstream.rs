//! `[[upstream]]`: the applications behind the gate.

use super::shape::{table, List};
use super::value::{FilePath, Name};
use std::time::Duration;

table! {
    /// An application behind the gate.
    Upstream {
        /// What routes and metrics call it.
        name: Name,
        /// "http://host:port", "https://…", "h2c://…" (HTTP/2 in clear text) or "unix:/path".
        url: String,
        /// Several of them, of one scheme.
        urls: List<String>,
        /// The Host it is sent; "" is the client's.
        host: String = "",
        /// PEM file with the CA of its certificate; "" takes the system's.
        ca: FilePath = "",
        /// The name its certificate must carry; "" is the host of its URL.
        server_name: String = "",
        connect_timeout: Duration = "2s",
        /// To the response header.
        read_timeout: Duration = "60s",
        /// The longest silence within a body, an event stream or a WebSocket.
        stream_idle: Duration = "1h",
    }
}
