//! Scripts: each known by the hash of its text, so that two versions of this program run side by side.

use crate::ports::store::StoreError;
use ::redis::{cmd, Cmd, Value};
use std::sync::LazyLock;

/// A Lua script.
#[derive(Debug)]
pub(in crate::store) struct Script {
    hash: String,
    text: &'static str,
}

impl Script {
    pub(in crate::store) fn new(text: &'static str) -> Self {
        Self { hash: ::redis::Script::new(text).get_hash().to_owned(), text }
    }
}

/// Those of the store begin with the common prelude.
macro_rules! scripts {
    ($($name:ident = $file:literal;)*) => {
        $(pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!(include_str!("prelude.lua"), include_str!($file))));)*
    };
}

scripts! {
    CREATE = "create.lua";
    LOAD = "load.lua";
    BY_HANDLE = "by_handle.lua";
    LIST = "list.lua";
    TOUCH = "touch.lua";
    REWRITE = "rewrite.lua";
    END = "end.lua";
    END_ALL = "end_all.lua";
    PROVIDER_NOTE = "provider_note.lua";
    PROVIDER_FIND = "provider_find.lua";
    PRESENT = "present.lua";
    CONFIRM = "confirm.lua";
    REVOKE = "revoke.lua";
    ACQUIRE = "acquire.lua";
    EXTEND = "extend.lua";
    RELEASE = "release.lua";
    FIRST = "first.lua";
    REPLACE = "replace.lua";
    CHARGE = "charge.lua";
    GIVE_BACK = "give_back.lua";
    FAILED = "failed.lua";
    TALLY = "tally.lua";
    RESERVE = "reserve.lua";
}

/// One run of a script with its arguments.
pub(in crate::store) struct Call {
    script: &'static Script,
    keys: Vec<Vec<u8>>,
    arguments: Vec<Vec<u8>>,
}

impl Call {
    pub(in crate::store) fn new(script: &'static Script, key: &str) -> Self {
        Self { script, keys: vec![key.as_bytes().to_vec()], arguments: Vec::with_capacity(16) }
    }

    /// A further key. In a cluster only keys of one slot go together.
    pub(in crate::store) fn and(mut self, key: &str) -> Self {
        self.keys.push(key.as_bytes().to_vec());
        self
    }

    pub(in crate::store) fn arg(mut self, argument: impl AsRef<[u8]>) -> Self {
        self.arguments.push(argument.as_ref().to_vec());
        self
    }

    pub(super) fn number(mut self, number: impl Into<u64>) -> Self {
        self.arguments.push(number.into().to_string().into_bytes());
        self
    }

    pub(super) fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", &self.script.hash)
    }

    pub(super) fn by_text(&self) -> Cmd {
        self.command("EVAL", self.script.text)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = cmd(name);
        command.arg(script).arg(self.keys.len());
        for argument in self.keys.iter().chain(&self.arguments) {
            command.arg(argument);
        }
        command
    }
}

/// What a script answered: strings, one after the other.
pub(super) struct Reply(std::vec::IntoIter<Vec<u8>>);

impl Reply {
    pub(super) fn read(value: Value) -> Result<Self, StoreError> {
        let Value::Array(items) = value else {
            return Err(unreadable());
        };
        let strings = items.into_iter().map(|item| match item {
            Value::BulkString(bytes) => Ok(bytes),
            _ => Err(unreadable()),
        });
        Ok(Self(strings.collect::<Result<Vec<_>, _>>()?.into_iter()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        self.0.next().ok_or_else(unreadable)
    }

    pub(super) fn text(&mut self) -> Result<String, StoreError> {
        String::from_utf8(self.bytes()?).map_err(|_| unreadable())
    }

    pub(super) fn number<N: std::str::FromStr>(&mut self) -> Result<N, StoreError> {
        self.text()?.parse().map_err(|_| unreadable())
    }

    pub(super) fn flag(&mut self) -> Result<bool, StoreError> {
        match self.bytes()?.as_slice() {
            b"1" => Ok(true),
            b"0" => Ok(false),
            _ => Err(unreadable()),
        }
    }

    pub(super) fn rest<T>(&mut self, read: impl Fn(&mut Self) -> Result<T, StoreError>) -> Result<Vec<T>, StoreError> {
        let mut all = Vec::new();
        while !self.is_empty() {
            all.push(read(self)?);
        }
        Ok(all)
    }
}

pub(super) fn unreadable() -> StoreError {
    StoreError("an answer that is not ours: does something else write under our prefix?".to_owned())
}
