//! Every colour the pages use, for light and for dark. The style sheet names them and holds none itself, so the test
//! below sees all there are.

use super::colour::Colour;
use std::fmt::Write as _;

/// One scheme: what is behind, and what is written on it.
struct Scheme {
    ground: Colour,
    surface: Colour,
    text: Colour,
    quiet: Colour,
    /// Edges of fields: a reader must see where to type (3:1).
    edge: Colour,
    /// Edges that only decorate.
    hairline: Colour,
    alarm: Colour,
    alarm_ground: Colour,
}

const LIGHT: Scheme = Scheme {
    ground: Colour::new(0xf4, 0xf5, 0xf7),
    surface: Colour::WHITE,
    text: Colour::new(0x1a, 0x1d, 0x21),
    quiet: Colour::new(0x57, 0x5e, 0x68),
    edge: Colour::new(0x7b, 0x84, 0x8f),
    hairline: Colour::new(0xdd, 0xe1, 0xe6),
    alarm: Colour::new(0x9f, 0x1d, 0x14),
    alarm_ground: Colour::new(0xfd, 0xf0, 0xee),
};

const DARK: Scheme = Scheme {
    ground: Colour::new(0x10, 0x13, 0x17),
    surface: Colour::new(0x1a, 0x1e, 0x24),
    text: Colour::new(0xea, 0xed, 0xf0),
    quiet: Colour::new(0xa8, 0xb0, 0xba),
    edge: Colour::new(0x7f, 0x89, 0x94),
    hairline: Colour::new(0x30, 0x37, 0x40),
    alarm: Colour::new(0xff, 0xa3, 0x99),
    alarm_ground: Colour::new(0x38, 0x1b, 0x19),
};

/// The custom properties of the style sheet: both schemes around the operator's `accent`.
pub(super) fn properties(accent: Colour) -> String {
    format!(
        ":root{{color-scheme:light dark;{}}}\n@media (prefers-color-scheme:dark){{:root{{{}}}}}\n",
        LIGHT.properties(accent),
        DARK.properties(accent)
    )
}

impl Scheme {
    fn properties(&self, accent: Colour) -> String {
        let named = [
            ("ground", self.ground),
            ("surface", self.surface),
            ("text", self.text),
            ("quiet", self.quiet),
            ("edge", self.edge),
            ("hairline", self.hairline),
            ("alarm", self.alarm),
            ("alarm-ground", self.alarm_ground),
            ("accent", accent),
            ("on-accent", accent.text_on()),
            ("ink", self.ink(accent)),
        ];
        named.iter().fold(String::new(), |mut text, (name, colour)| {
            let _ = write!(text, "--{name}:{colour};");
            text
        })
    }

    /// The accent as it is written with: links, the ring around what has the focus, the edge of a button.
    fn ink(&self, accent: Colour) -> Colour {
        accent.readable_on(&[self.surface, self.ground])
    }
}

#[cfg(test)]
mod tests {
    use super::super::colour::AA_TEXT;
    use super::*;
    use proptest::prelude::*;

    /// WCAG 2.2, success criterion 1.4.11.
    const AA_EDGE: f64 = 3.0;

    #[test]
    fn everything_written_reaches_aa_in_light_and_in_dark() {
        for scheme in [LIGHT, DARK] {
            for ground in [scheme.ground, scheme.surface] {
                assert!(scheme.text.contrast(ground) >= AA_TEXT, "text {} on {ground}", scheme.text);
                assert!(scheme.quiet.contrast(ground) >= AA_TEXT, "quiet {} on {ground}", scheme.quiet);
                assert!(scheme.edge.contrast(ground) >= AA_EDGE, "edge {} on {ground}", scheme.edge);
            }
            assert!(scheme.alarm.contrast(scheme.alarm_ground) >= AA_TEXT);
            assert!(scheme.alarm.contrast(scheme.surface) >= AA_TEXT);
        }
    }

    proptest! {
        #[test]
        fn links_and_focus_stay_readable_with_any_accent(red: u8, green: u8, blue: u8) {
            for scheme in [LIGHT, DARK] {
                let ink = scheme.ink(Colour::new(red, green, blue));
                prop_assert!(ink.contrast(scheme.ground) >= AA_TEXT);
                prop_assert!(ink.contrast(scheme.surface) >= AA_TEXT);
            }
        }
    }
}
