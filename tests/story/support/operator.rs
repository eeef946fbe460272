//! Operators: what they ask the admin API, and the commands they type.

use super::client::{self, Response};
use super::eventually;
use super::gate::Gate;
use std::process::{Command, Output};

/// `DOORWARD_ADMIN_TOKEN` of gates that have an operator.
pub(crate) const TOKEN: &str = "an-operators-token-of-32-letters-";

pub(crate) fn api(gate: &Gate, token: &str, request: &str, body: &str) -> Response {
    let length = body.len();
    client::raw(
        gate.admin,
        format!(
            "{request} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
    )
}

/// One of our commands, aimed at `gate`.
pub(crate) fn command(gate: &Gate, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_doorward"))
        .args(arguments)
        .args(["--admin", &format!("http://{}", gate.admin)])
        .env("DOORWARD_ADMIN_TOKEN", TOKEN)
        .output()
        .unwrap()
}

pub(crate) fn succeed(gate: &Gate, arguments: &[&str]) -> String {
    let output = command(gate, arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// [`succeed`] for an order that other replicas have to hear of: repeated until it is in force at all of them, for the half
/// second that a command waits is nothing on a starved machine.
pub(crate) fn insist(gate: &Gate, arguments: &[&str]) -> String {
    let mut output = command(gate, arguments);
    eventually("the order is in force everywhere", || {
        output.status.success() || {
            output = command(gate, arguments);
            false
        }
    });
    String::from_utf8(output.stdout).unwrap()
}
