//! Values that a form carries for us: they prove that it is ours, so they are shown to nobody but their browser.

use std::fmt;

/// The value of a hidden field.
#[derive(Clone, Copy)]
pub struct Hidden<'a>(pub &'a str);

/// For the template alone.
impl fmt::Display for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_never_shows_the_value() {
        assert_eq!(format!("{:?}", Hidden("c5rf")), "Hidden(..)");
    }
}
