//! Doorward: an identity-aware proxy.
//!
//! A request walks `edge` → `pipeline` → `domain` and back: the edge reads bytes and writes bytes, the pipeline tells
//! the story of one admission, the domain decides. Arrows point inwards only; `tests/architecture.rs` holds them.
//! ARCHITECTURE.md is the map.

pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod edge;
pub mod observe;
pub mod outbound;
pub mod pipeline;
pub mod ports;
pub mod store;
