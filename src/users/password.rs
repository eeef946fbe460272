//! Passwords: Argon2id in PHC strings, read strictly, compared slowly.

use crate::domain::secret::Secret;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::LONGEST_PASSWORD;

/// KiB and passes that OWASP recommends: what we make, and what strangers' names cost while the file has none.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// The least of OWASP's equivalents, 7 MiB in five passes; what costs less is guessed quicker.
const WEAK_MEMORY: u32 = 7 * 1024;
const WEAK_WORK: u64 = 5 * 7 * 1024;
/// A typing error here would let one sign-in take the machine: 1 GiB, or some seconds of a core.
const MOST_MEMORY: u32 = 1024 * 1024;
const MOST_WORK: u64 = 4 * 1024 * 1024;
const MOST_LANES: u32 = 64;
/// Bytes; fewer could be guessed instead of the password.
const LEAST_OUTPUT: usize = 16;

/// The hash of one password, and what it takes to compare with it.
#[derive(Clone)]
pub(super) struct PasswordHash {
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
}

/// Why there is no hash of a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unhashable {
    #[error("an empty password protects nothing")]
    Empty,
    #[error("a password may have {LONGEST_PASSWORD} bytes")]
    TooLong,
    /// No randomness, or no memory.
    #[error("the password cannot be hashed here: {0}")]
    Failed(String),
}

/// A PHC string for `password`, to be written into the file.
///
/// # Errors
/// A password nobody could sign in with, or a machine without randomness.
pub fn hash(password: &Secret) -> Result<String, Unhashable> {
    let password = password.expose();
    if password.is_empty() {
        return Err(Unhashable::Empty);
    }
    if password.len() > LONGEST_PASSWORD {
        return Err(Unhashable::TooLong);
    }
    let salt = random::<16>().map_err(Unhashable::Failed)?;
    let params = Params::new(MEMORY, PASSES, 1, None).map_err(|why| Unhashable::Failed(why.to_string()))?;
    let hashed = context(&params).hash_password_with_salt(password, &salt);
    hashed.map(|phc| phc.to_string()).map_err(|why| Unhashable::Failed(why.to_string()))
}

impl PasswordHash {
    /// Reads `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
    ///
    /// # Errors
    /// What is wrong with it, in words that show nothing of it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let unreadable = || "is no PHC string; make one with `doorward user hash`".to_owned();
        let phc = argon2::PasswordHash::new(text).map_err(|_| unreadable())?;
        match phc.algorithm.as_str() {
            "argon2id" => {}
            "argon2i" | "argon2d" => return Err("is Argon2, but not Argon2id; hash the password anew".to_owned()),
            _ => return Err("is not Argon2id; hash the password anew with `doorward user hash`".to_owned()),
        }
        if phc.version != Some(u32::from(Version::V0x13)) {
            return Err("is of another version of Argon2 than 19; hash the password anew".to_owned());
        }
        let (Some(salt), Some(output)) = (phc.salt, phc.hash) else { return Err(unreadable()) };
        let output = output.as_bytes().to_vec();
        if output.len() < LEAST_OUTPUT {
            return Err(format!("holds a hash of {} bytes; {LEAST_OUTPUT} are the least", output.len()));
        }
        let params = Self::params(&phc, output.len())?;
        Ok(Self { params, salt: salt.as_ref().to_vec(), output })
    }

    /// One that no password matches and that costs what this one does.
    pub(super) fn decoy(&self) -> Self {
        // Should the machine have no randomness: the answer is thrown away in any case.
        let output = random::<32>().unwrap_or_default();
        Self { output: output.into_iter().cycle().take(self.output.len()).collect(), ..self.clone() }
    }

    /// A decoy where there is nobody to resemble.
    pub(super) fn nobody() -> Self {
        let params = Params::new(MEMORY, PASSES, 1, Some(32)).unwrap_or_default();
        Self { params, salt: vec![0; 16], output: vec![0; 32] }.decoy()
    }

    /// Whether `password` is the one. Takes as long as its parameters say, and their memory.
    pub(super) fn matches(&self, password: &[u8]) -> argon2::Result<bool> {
        let mut computed = Zeroizing::new(vec![0; self.output.len()]);
        context(&self.params).hash_password_into(password, &self.salt, &mut computed)?;
        Ok(computed.ct_eq(&self.output).into())
    }

    /// Guessed quicker than it should be.
    pub(super) fn is_weak(&self) -> bool {
        self.params.m_cost() < WEAK_MEMORY || self.work() < WEAK_WORK
    }

    fn params(phc: &argon2::PasswordHash, output: usize) -> Result<Params, String> {
        let mut cost = [None; 3];
        for (name, value) in phc.params.iter() {
            let place = match name.as_str() {
                "m" => cost.first_mut(),
                "t" => cost.get_mut(1),
                "p" => cost.last_mut(),
                other => return Err(format!("has a parameter {other:?} that we do not know")),
            };
            let value = value.decimal().map_err(|_| format!("has no number for {:?}", name.as_str()))?;
            if place.and_then(|place| place.replace(value)).is_some() {
                return Err(format!("says {:?} twice", name.as_str()));
            }
        }
        let [Some(memory), Some(passes), Some(lanes)] = cost else {
            return Err("must say m, t and p".to_owned());
        };
        let params = Params::new(memory, passes, lanes, Some(output));
        let dear = memory > MOST_MEMORY || u64::from(memory) * u64::from(passes) > MOST_WORK || lanes > MOST_LANES;
        match params {
            Ok(params) if !dear => Ok(params),
            Ok(_) => Err(format!("costs too much (m={memory}, t={passes}, p={lanes}); hash the password anew")),
            Err(_) => Err(format!("has a cost that Argon2 does not allow (m={memory}, t={passes}, p={lanes})")),
        }
    }

    /// KiB times passes: about what a comparison takes.
    pub(super) fn work(&self) -> u64 {
        u64::from(self.params.m_cost()) * u64::from(self.params.t_cost())
    }

    /// Another one with every new password, and with the same one hashed anew. Says nothing of it.
    pub(super) fn digest(&self) -> [u8; 32] {
        Sha256::new_with_prefix(&self.salt).chain_update(&self.output).finalize().into()
    }

    /// What makes one hash of a file differ from every other.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.output
    }
}

fn context(params: &Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
}

fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "no randomness".to_owned())?;
    Ok(bytes)
}

/// The hash of a password is what guessing begins with.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash(m={}, t={}, ..)", self.params.m_cost(), self.params.t_cost())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hash that costs nothing to compare.
    fn cheap(password: &str) -> String {
        let params = Params::new(8, 1, 1, Some(16)).unwrap();
        context(&params).hash_password_with_salt(password.as_bytes(), b"somesalt").unwrap().to_string()
    }

    fn why(text: &str) -> String {
        PasswordHash::parse(text).unwrap_err()
    }

    #[test]
    fn only_the_password_matches() {
        let hash = PasswordHash::parse(&cheap("hunter2")).unwrap();
        assert_eq!(hash.matches(b"hunter2"), Ok(true));
        for wrong in ["hunter", "hunter22", "Hunter2", ""] {
            assert_eq!(hash.matches(wrong.as_bytes()), Ok(false), "{wrong}");
        }
    }

    #[test]
    fn what_we_hash_we_accept() {
        let text = hash(&Secret::new(b"hunter2".to_vec())).unwrap();
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
        assert_ne!(text, hash(&Secret::new(b"hunter2".to_vec())).unwrap(), "every hash has its own salt");
        let parsed = PasswordHash::parse(&text).unwrap();
        assert_eq!(parsed.matches(b"hunter2"), Ok(true));
        assert!(!parsed.is_weak());
    }

    #[test]
    fn a_hash_made_by_the_reference_implementation_is_understood() {
        // the example of the PHC string specification's authors: password "password", salt "somesalt"
        let text = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert_eq!(PasswordHash::parse(text).unwrap().matches(b"password"), Ok(true));
    }

    #[test]
    fn nobody_can_have_no_password() {
        assert_eq!(hash(&Secret::new(Vec::new())), Err(Unhashable::Empty));
        assert_eq!(hash(&Secret::new(vec![b'x'; LONGEST_PASSWORD + 1])), Err(Unhashable::TooLong));
    }

    #[test]
    fn what_is_not_argon2id_is_named() {
        assert!(why("hunter2").contains("no PHC string"));
        assert!(why("").contains("no PHC string"));
        assert!(!why("$2b$12$abcdefghijklmnopqrstuu").is_empty(), "bcrypt");
        assert!(why(&cheap("x").replace("argon2id", "argon2i")).contains("not Argon2id"));
        assert!(why(&cheap("x").replace("argon2id", "argon2d")).contains("not Argon2id"));
        assert!(why(&cheap("x").replace("argon2id", "scrypt")).contains("not Argon2id"));
        assert!(why(&cheap("x").replace("v=19", "v=16")).contains("version"));
        assert!(why(&cheap("x").replace("$v=19", "")).contains("version"));
    }

    #[test]
    fn what_is_cut_short_is_named() {
        assert!(why("$argon2id$v=19$m=8,t=1,p=1").contains("no PHC string"));
        assert!(why("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ").contains("no PHC string"));
        assert!(why("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAA").contains("10 bytes"));
    }

    #[test]
    fn an_absurd_cost_is_a_mistake_and_not_a_way_to_take_the_machine() {
        let with = |cost: &str| why(&cheap("x").replace("m=8,t=1,p=1", cost));
        for cost in ["m=4194304,t=1,p=1", "m=65536,t=1000000,p=1", "m=65536,t=3,p=200"] {
            assert!(with(cost).contains("costs too much"), "{cost}");
        }
        for cost in ["m=1,t=1,p=1", "m=8,t=0,p=1", "m=8,t=1,p=0", "m=8,t=1,p=2", "m=4294967295,t=1,p=4294967295"] {
            assert!(with(cost).contains("cost"), "{cost}: {}", with(cost));
        }
        for cost in ["m=8,t=1", "m=8,t=1,p=1,keyid=x", "m=8,m=8,t=1,p=1", "m=x,t=1,p=1", "t=1,p=1"] {
            assert!(!with(cost).is_empty(), "{cost}");
        }
    }

    #[test]
    fn no_mistake_shows_the_hash() {
        let secret = "AAAAAAAAAAAAAAAAAAAAAA";
        for text in [format!("$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ${secret}"), secret.to_owned()] {
            assert!(!why(&text).contains(secret));
        }
        assert!(!format!("{:?}", PasswordHash::parse(&cheap("x")).unwrap()).contains("salt"));
    }

    #[test]
    fn what_is_guessed_too_quickly_is_weak_but_works() {
        assert!(PasswordHash::parse(&cheap("x")).unwrap().is_weak());
    }

    #[test]
    fn a_decoy_costs_the_same_and_matches_nothing() {
        let real = PasswordHash::parse(&cheap("hunter2")).unwrap();
        let decoy = real.decoy();
        assert_eq!((decoy.work(), decoy.output.len()), (real.work(), real.output.len()));
        assert_eq!(decoy.matches(b"hunter2"), Ok(false));
    }
}
