//! Stories: the real binary, real sockets, and a backend that shows what it received.
//!
//! Every module tells of one part of the gate; `support` is the stage. There are no fixed ports and no sleeps: whoever
//! waits, waits for a line or for bytes, and gives up after [`support::PATIENCE`].

#[cfg(test)]
mod support;

#[cfg(test)]
mod smoke;
