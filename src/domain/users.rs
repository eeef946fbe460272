//! People whose names and passwords we keep ourselves.

use super::oidc::Identity;
use super::time::UnixTime;
use serde_json::{Map, Value};

/// A local user, without the password: nobody who is told who signed in needs that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// What is typed at sign-in, and the subject in every token.
    pub name: String,
    /// What people are shown.
    pub display_name: Option<String>,
    pub email: Option<String>,
    pub roles: Vec<String>,
}

impl User {
    /// What a provider would have said about them. Whoever wrote the file has verified the address.
    #[must_use]
    pub fn claims(&self) -> Map<String, Value> {
        let shown = self.display_name.as_ref().unwrap_or(&self.name);
        let mut claims = Map::new();
        claims.insert("sub".to_owned(), self.name.as_str().into());
        claims.insert("name".to_owned(), shown.as_str().into());
        claims.insert("preferred_username".to_owned(), self.name.as_str().into());
        if let Some(email) = &self.email {
            claims.insert("email".to_owned(), email.as_str().into());
            claims.insert("email_verified".to_owned(), true.into());
        }
        claims.insert("roles".to_owned(), self.roles.clone().into());
        claims
    }

    /// Who they are, as of `now`: at sign-in, and again whenever their session is renewed.
    #[must_use]
    pub fn identity(&self, now: UnixTime) -> Identity {
        Identity {
            subject: self.name.clone(),
            claims: self.claims(),
            roles: self.roles.clone(),
            email: self.email.clone(),
            email_verified: self.email.is_some(),
            name: Some(self.display_name.as_ref().unwrap_or(&self.name).clone()),
            acr: None,
            amr: vec!["pwd".to_owned()],
            auth_time: Some(now),
            idp_sid: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_user_claims_what_the_file_says_and_no_more() {
        let bob = User { name: "bob".to_owned(), display_name: None, email: None, roles: Vec::new() };
        let claims = |user: &User| Value::Object(user.claims());
        assert_eq!(claims(&bob), json!({ "sub": "bob", "name": "bob", "preferred_username": "bob", "roles": [] }));
        let alice = User {
            display_name: Some("Alice A.".to_owned()),
            email: Some("alice@app.test".to_owned()),
            roles: vec!["admin".to_owned()],
            ..bob
        };
        assert_eq!(claims(&alice)["email_verified"], true);
        assert_eq!(claims(&alice)["name"], "Alice A.");
        assert_eq!(claims(&alice)["roles"], json!(["admin"]));
    }
}
