//! Stories: the real binary, real sockets, and a backend that shows what it received.
//!
//! Every module tells of one part of the gate; `support` is the stage. There are no fixed ports and no sleeps: whoever
//! waits, waits for a line or for bytes, and gives up after [`support::PATIENCE`].

#[cfg(test)]
mod admin;
#[cfg(test)]
mod admin_fleet;
#[cfg(test)]
mod api_keys;
#[cfg(test)]
mod bearer;
#[cfg(test)]
mod cors;
#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod events;
#[cfg(test)]
mod faults_around;
#[cfg(test)]
mod faults_failover;
#[cfg(test)]
mod faults_store;
#[cfg(test)]
mod forwarding;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod issuers;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod listeners;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod observe;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod own_endpoints;
#[cfg(test)]
mod parser;
#[cfg(test)]
mod provenance;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod sensitive;
#[cfg(test)]
mod sign_in_bots;
#[cfg(test)]
mod sign_in_delivery;
#[cfg(test)]
mod sign_in_fleet;
#[cfg(test)]
mod sign_in_guessing;
#[cfg(test)]
mod sign_in_local;
#[cfg(test)]
mod sign_in_oidc;
#[cfg(test)]
mod sign_in_provider;
#[cfg(test)]
mod sign_in_renewal;
#[cfg(test)]
mod sign_in_routes;
#[cfg(test)]
mod sign_in_sessions;
#[cfg(test)]
mod sign_in_settings;
#[cfg(test)]
mod sign_in_store;
#[cfg(test)]
mod smoke;
#[cfg(test)]
mod state_dir;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod support;
#[cfg(test)]
mod under_way;
#[cfg(test)]
mod upstreams;
#[cfg(test)]
mod websocket;
