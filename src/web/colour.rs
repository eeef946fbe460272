//! Colours, and whether one can be read on another (WCAG 2.2, success criterion 1.4.3).

use std::fmt;

/// What level AA asks of text.
pub(super) const AA_TEXT: f64 = 4.5;

/// An sRGB colour, written `#rrggbb`. Nothing else is accepted: the value ends up in a style sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    red: u8,
    green: u8,
    blue: u8,
}

impl Colour {
    pub(super) const BLACK: Self = Self::new(0, 0, 0);
    pub(super) const WHITE: Self = Self::new(255, 255, 255);
    /// Steps from a colour to black or white.
    const STEPS: u16 = 32;

    pub(super) const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self { red, green, blue }
    }

    /// Exactly `#` and six hexadecimal digits.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        let digits = typed.strip_prefix('#').filter(|rest| rest.len() == 6)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let part = |from: usize| digits.get(from..from + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
        Some(Self::new(part(0)?, part(2)?, part(4)?))
    }

    /// From 1 (the same) to 21 (black on white).
    #[must_use]
    pub fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// Black or white, whichever reads better on this colour. The worse colour there is still leaves 4.58.
    #[must_use]
    pub fn text_on(self) -> Self {
        if self.contrast(Self::BLACK) >= self.contrast(Self::WHITE) {
            Self::BLACK
        } else {
            Self::WHITE
        }
    }

    /// This colour, moved towards black or white only as far as it takes to be read on every one of `grounds`.
    #[must_use]
    pub fn readable_on(self, grounds: &[Self]) -> Self {
        let pole = grounds.first().map_or(Self::BLACK, |ground| ground.text_on());
        let readable = |colour: &Self| grounds.iter().all(|ground| colour.contrast(*ground) >= AA_TEXT);
        (0..=Self::STEPS).map(|step| self.towards(pole, step)).find(readable).unwrap_or(pole)
    }

    fn towards(self, pole: Self, step: u16) -> Self {
        let mix = |from: u8, to: u8| {
            let sum = u16::from(from) * (Self::STEPS - step) + u16::from(to) * step;
            u8::try_from(sum / Self::STEPS).unwrap_or(u8::MAX)
        };
        Self::new(mix(self.red, pole.red), mix(self.green, pole.green), mix(self.blue, pole.blue))
    }

    /// Relative luminance as WCAG defines it.
    fn luminance(self) -> f64 {
        0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)
    }
}

fn linear(part: u8) -> f64 {
    let share = f64::from(part) / 255.0;
    if share <= 0.04045 {
        share / 12.92
    } else {
        ((share + 0.055) / 1.055).powf(2.4)
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn contrast_is_what_wcag_computes() {
        let grey = Colour::parse("#767676").unwrap();
        assert!((Colour::BLACK.contrast(Colour::WHITE) - 21.0).abs() < 1e-9);
        assert!((grey.contrast(Colour::WHITE) - 4.54).abs() < 0.005, "the well-known lightest grey on white");
        assert!((grey.contrast(grey) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn only_six_digits_are_a_colour() {
        assert_eq!(Colour::parse("#0a5Fcc").map(|c| c.to_string()).as_deref(), Some("#0a5fcc"));
        for typed in ["", "#", "0a5fcc", "#fff", "#0a5fcc00", "red", "#0a5fc;", "#+12345", "#€€", "#0a5fcc "] {
            assert_eq!(Colour::parse(typed), None, "{typed}");
        }
    }

    proptest! {
        #[test]
        fn text_on_any_colour_reaches_aa(red: u8, green: u8, blue: u8) {
            let colour = Colour::new(red, green, blue);
            prop_assert!(colour.contrast(colour.text_on()) >= AA_TEXT);
        }

        #[test]
        fn any_colour_can_be_made_readable(red: u8, green: u8, blue: u8) {
            let colour = Colour::new(red, green, blue);
            for ground in [Colour::BLACK, Colour::WHITE] {
                prop_assert!(colour.readable_on(&[ground]).contrast(ground) >= AA_TEXT);
            }
        }
    }
}
