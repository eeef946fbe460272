//! A house with people in it: two local users, and routes of every kind.

use super::backend::Backend;
use super::eventually;
use super::gate::{Gate, Setup};
use super::issuer::SECRET as SECRET_OF_ISSUER;
use super::operator::TOKEN;
use super::provider::Provider;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use std::net::SocketAddr;

/// Base64 of 32 bytes; what seals and signs in every replica of one house.
const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

pub(crate) const LOCAL: &str = "[[provider]]\nname = \"local\"\nkind = \"local\"\nusers = \"users.toml\"\n\n";

pub(crate) const ROUTES: &str = r#"
[[route]]
path = "/app/**"
access = "authenticated"

[[route]]
path = "/open/**"
access = "optional"

[[route]]
path = "/public/**"
access = "public"

[[route]]
path = "/admin/**"
roles = ["admin"]

[[route]]
path = "/strict/**"
access = "authenticated"
csrf = "strict"

[[route]]
path = "/loose/**"
access = "authenticated"
csrf = false

"#;

pub(crate) fn password(name: &str) -> String {
    format!("{name}'s password")
}

/// Where "alice" (an admin) and "bob" live, and a secret that all replicas share.
pub(crate) fn setup() -> Setup {
    Gate::setup()
        .file("users.toml", user("alice", "admin") + &user("bob", "user"))
        .variable("DOORWARD_SECRET", SECRET)
        .variable("DOORWARD_LOG", "info")
}

/// An entry of `users.toml`.
pub(crate) fn user(name: &str, role: &str) -> String {
    format!(
        "[[user]]\nname = {name:?}\npassword = {:?}\nemail = \"{name}@app.test\"\nroles = [{role:?}]\n\n",
        cheap(&password(name))
    )
}

/// A gate with local users in front of `backend`, with these tables besides.
pub(crate) fn house(backend: &Backend, tables: &str) -> Gate {
    setup().start(&[LOCAL, &backend.upstream("app"), ROUTES, tables].concat())
}

/// Replicas of one house: they share a store, a secret, and nothing else.
pub(crate) struct Fleet {
    pub(crate) gates: Vec<Gate>,
    tables: String,
}

impl Fleet {
    pub(crate) fn start(count: usize, tables: &[&str]) -> Self {
        let mut fleet = Self { gates: Vec::new(), tables: tables.concat() };
        fleet.gates = (0..count).map(|_| fleet.another()).collect();
        fleet
    }

    /// The same, once all of them know what was revoked.
    pub(crate) fn ready(count: usize, tables: &[&str]) -> Self {
        let fleet = Self::start(count, tables);
        eventually("all are ready", || fleet.gates.iter().all(Gate::is_ready));
        fleet
    }

    /// One more of them. Each has an operator, and the secret of an issuer.
    pub(crate) fn another(&self) -> Gate {
        let (name, secret) = Provider::secret();
        let setup = setup().variable("DOORWARD_ADMIN_TOKEN", TOKEN).variable("SECRET", SECRET_OF_ISSUER);
        setup.variable(name, secret).start(&self.tables)
    }

    /// Where the replica is that is next in turn.
    pub(crate) fn turn(&self, turn: usize) -> SocketAddr {
        self.gates[turn % self.gates.len()].http
    }
}

/// A hash that is compared within microseconds: there are hundreds of sign-ins in these stories.
fn cheap(password: &str) -> String {
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, Some(16)).unwrap());
    argon.hash_password_with_salt(password.as_bytes(), b"somesalt").unwrap().to_string()
}
