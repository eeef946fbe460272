//! One file on its way in: whose lines are counted, whose mistakes are noted, and against which directory and
//! environment its strings are understood.

use super::mistakes::{Mistakes, Place};
use super::raw::shape::{Node, Read};
use super::secrets::{Secrets, Text, World};
use std::path::{Path, PathBuf};

pub(crate) struct Reading<'r> {
    world: &'r World<'r>,
    base: &'r Path,
    /// Byte offsets at which lines begin, after the first.
    line_starts: Vec<usize>,
    defaults: bool,
    pub(crate) mistakes: Mistakes,
    /// Files whose content went into the settings.
    pub(crate) files: Vec<PathBuf>,
}

impl<'r> Reading<'r> {
    pub(crate) fn new(text: &str, base: &'r Path, world: &'r World<'r>) -> Self {
        let line_starts = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1).collect();
        Self { world, base, line_starts, defaults: false, mistakes: Mistakes::default(), files: Vec::new() }
    }

    /// The line of the byte at `offset`, counting from 1. A default stands on no line.
    pub(crate) fn line(&self, offset: usize) -> usize {
        if self.defaults {
            0
        } else {
            self.line_starts.partition_point(|start| *start <= offset) + 1
        }
    }

    pub(crate) fn mistake(&mut self, place: &Place, text: impl Into<String>) {
        self.mistakes.add(place, text);
    }

    /// Reads a default; what is missing inside of it points at `place` as it is.
    pub(crate) fn default<T: Read>(&mut self, node: &Node<'_>, place: &Place) -> Option<T> {
        let before = std::mem::replace(&mut self.defaults, true);
        let value = T::read(node, place, self);
        self.defaults = before;
        value
    }

    /// Whether `node` is a default, which nobody wrote, and names a variable that is not there.
    pub(crate) fn is_unset(&self, node: &Node<'_>) -> bool {
        self.defaults && node.get_ref().as_str().is_some_and(|typed| self.world.is_absent(typed))
    }

    /// A string of the file, or what it points at in the environment or in another file.
    pub(crate) fn text(&mut self, typed: &str) -> Result<Text, String> {
        let text = self.world.text(typed, self.base)?;
        self.files.extend(text.file.clone());
        Ok(text)
    }

    /// `path` against the directory of the file it stands in.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    pub(crate) fn secrets(&self) -> Secrets {
        self.world.secrets
    }
}
