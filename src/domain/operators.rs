//! Who may look at a running gate and change it: operators, each with a token of their own.

use super::secret::Secret;
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// Everybody who has a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operators(Vec<Operator>);

/// One holder of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// What the audit log calls them.
    pub name: String,
    pub role: Role,
    token: TokenHash,
}

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Look.
    Reader,
    /// Look, and change.
    Operator,
}

/// SHA-256 of a token. Tokens have so much chance in them that the hash gives none away, and hashes, unlike tokens,
/// are all of one length.
#[derive(Clone, Copy, PartialEq, Eq)]
struct TokenHash([u8; 32]);

impl Operators {
    #[must_use]
    pub fn new(operators: Vec<Operator>) -> Self {
        Self(operators)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose token this is. Every token is compared, and each in constant time: how long it takes says nothing about
    /// which of them came close.
    #[must_use]
    pub fn find(&self, token: &[u8]) -> Option<&Operator> {
        let shown = TokenHash::of(token);
        self.0.iter().fold(None, |found, operator| {
            let matches: bool = operator.token.0.ct_eq(&shown.0).into();
            if matches {
                Some(operator)
            } else {
                found
            }
        })
    }
}

impl Operator {
    #[must_use]
    pub fn new(name: &str, role: Role, token: &Secret) -> Self {
        Self { name: name.to_owned(), role, token: TokenHash::of(token.expose()) }
    }

    /// Whether both hold one token, so that nobody could say which of them came.
    #[must_use]
    pub fn shares_a_token(&self, other: &Self) -> bool {
        self.token == other.token
    }
}

impl TokenHash {
    fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(name: &str, token: &str) -> Operator {
        Operator::new(name, Role::Operator, &Secret::new(token.as_bytes().to_vec()))
    }

    #[test]
    fn a_token_finds_its_holder_and_nothing_like_it_does() {
        let operators = Operators::new(vec![operator("ann", "token-of-ann"), operator("ben", "token-of-ben")]);
        assert_eq!(operators.find(b"token-of-ben").map(|found| found.name.as_str()), Some("ben"));
        for wrong in ["", "token-of-be", "token-of-benn", "Token-of-ben"] {
            assert_eq!(operators.find(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(Operators::default().find(b""), None);
    }

    #[test]
    fn debug_output_shows_no_token() {
        assert!(format!("{:?}", operator("ann", "hunter2")).ends_with("token: TokenHash(..) }"));
    }
}
