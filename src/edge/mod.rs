//! The only room that sees Pingora: sockets in front, backends behind, and nothing decided in between.
//!
//! `listen` accepts connections and hands each to one of the `workers`, as `guarded`, a stream with deadlines; Pingora
//! parses requests on it, and each runs within its `exchange`; `proxy` is Pingora's phases, each handing on to the
//! pipeline; `journey` keeps the books of one request. What goes on for long is cut by `kill` when its credential ends.

pub mod connection;
mod deadline;
mod events;
mod exchange;
mod guarded;
mod head;
mod ids;
mod journey;
pub mod kill;
pub mod lifecycle;
pub mod listen;
mod outcome;
mod own;
mod page;
mod proxy;
mod proxy_header;
mod respond;
pub mod snapshot;
mod stream;
pub mod tls;
mod tunnel;
pub mod upstream;
mod websocket;
pub mod workers;
