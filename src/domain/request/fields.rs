//! The few fields that decide what a request is, gathered in one pass: looking each up by its hash would cost more
//! than all the rest of canonicalising.

use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue};

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) host: Field<'a>,
    pub(super) authorization: Field<'a>,
    pub(super) content_length: Field<'a>,
    pub(super) transfer_encoding: Field<'a>,
    pub(super) upgrade: Field<'a>,
}

/// How often a field that may stand there once does.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Field<'a> {
    #[default]
    Absent,
    Once(&'a HeaderValue),
    Repeated,
}

impl<'a> Fields<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            // the length settles it for nearly every name
            match name.as_str().len() {
                4 if *name == HOST => fields.host.add(value),
                7 if *name == UPGRADE => fields.upgrade.add(value),
                13 if *name == AUTHORIZATION => fields.authorization.add(value),
                14 if *name == CONTENT_LENGTH => fields.content_length.add(value),
                17 if *name == TRANSFER_ENCODING => fields.transfer_encoding.add(value),
                _ => {}
            }
        }
        fields
    }
}

impl<'a> Field<'a> {
    fn add(&mut self, value: &'a HeaderValue) {
        *self = match self {
            Self::Absent => Self::Once(value),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        };
    }
}
