//! What an operator may change about the pages: title, logo, colour. Checked here, once, because all three end up in
//! markup, in a style sheet and in a Content-Security-Policy.

use super::colour::Colour;

/// A checked theme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Theme {
    title: String,
    logo: Option<Logo>,
    colour: Colour,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Logo {
    pub(super) url: String,
    /// What `img-src` needs besides `'self'`.
    pub(super) source: Option<String>,
}

/// What is wrong with a theme; each names its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThemeMistake {
    #[error("`title` has 1 to 80 characters, none of them a control character")]
    Title,
    #[error("`logo` is a path beginning with one \"/\", an https URL, or a base64 data:image URL of at most 32 KiB")]
    Logo,
    #[error("`colour` is \"#\" and six hexadecimal digits, such as \"#1f5fa8\"")]
    Colour,
}

const LONGEST_TITLE: usize = 80;
/// A data URL travels with every page.
const LONGEST_LOGO: usize = 32 * 1024;
const IMAGES: [&str; 5] = ["png", "jpeg", "gif", "webp", "svg+xml"];

impl Theme {
    /// # Errors
    /// Every mistake there is.
    pub fn new(title: &str, logo: Option<&str>, colour: &str) -> Result<Self, Vec<ThemeMistake>> {
        let title = checked_title(title).ok_or(ThemeMistake::Title);
        let logo = logo.map(|typed| Logo::parse(typed).ok_or(ThemeMistake::Logo)).transpose();
        let colour = Colour::parse(colour).ok_or(ThemeMistake::Colour);
        match (title, logo, colour) {
            (Ok(title), Ok(logo), Ok(colour)) => Ok(Self { title, logo, colour }),
            (title, logo, colour) => Err([title.err(), logo.err(), colour.err()].into_iter().flatten().collect()),
        }
    }

    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    #[must_use]
    pub fn colour(&self) -> Colour {
        self.colour
    }

    pub(super) fn logo(&self) -> Option<&Logo> {
        self.logo.as_ref()
    }
}

impl Default for Theme {
    fn default() -> Self {
        Self { title: "Doorward".to_owned(), logo: None, colour: Colour::new(0x1f, 0x5f, 0xa8) }
    }
}

impl ThemeMistake {
    /// Of `[pages]`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Logo => "logo",
            Self::Colour => "colour",
        }
    }
}

fn checked_title(typed: &str) -> Option<String> {
    let title = typed.trim();
    let short = (1..=LONGEST_TITLE).contains(&title.chars().count());
    (short && !title.chars().any(char::is_control)).then(|| title.to_owned())
}

impl Logo {
    fn parse(typed: &str) -> Option<Self> {
        let plain = typed.len() <= LONGEST_LOGO && typed.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        if !plain {
            return None;
        }
        let source = if typed.starts_with("data:") {
            is_image(typed).then(|| Some("data:".to_owned()))
        } else if typed.starts_with("https://") {
            https_origin(typed).map(Some)
        } else {
            // "//host" is another origin
            (typed.starts_with('/') && !typed.starts_with("//")).then_some(None)
        }?;
        Some(Self { url: typed.to_owned(), source })
    }
}

fn https_origin(typed: &str) -> Option<String> {
    let url = url::Url::parse(typed).ok()?;
    let anonymous = url.username().is_empty() && url.password().is_none();
    anonymous.then(|| url.origin().ascii_serialization())
}

fn is_image(typed: &str) -> bool {
    let Some((kind, data)) = typed.strip_prefix("data:image/").and_then(|rest| rest.split_once(";base64,")) else {
        return false;
    };
    let alphabet = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
    IMAGES.contains(&kind) && !data.is_empty() && data.bytes().all(alphabet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logo(typed: &str) -> Result<Option<String>, Vec<ThemeMistake>> {
        Theme::new("Acme", Some(typed), "#1f5fa8").map(|theme| theme.logo.and_then(|logo| logo.source))
    }

    #[test]
    fn a_logo_is_allowed_from_where_it_lies_and_from_nowhere_else() {
        assert_eq!(logo("/static/logo.svg"), Ok(None));
        assert_eq!(logo("https://cdn.example.com/a/logo.png?v=2"), Ok(Some("https://cdn.example.com".to_owned())));
        assert_eq!(logo("https://cdn.example.com:8443/l.png"), Ok(Some("https://cdn.example.com:8443".to_owned())));
        assert_eq!(logo("data:image/png;base64,iVBORw0KGgo="), Ok(Some("data:".to_owned())));
    }

    #[test]
    fn a_logo_can_bring_in_nothing_but_an_image() {
        let long = format!("data:image/png;base64,{}", "A".repeat(LONGEST_LOGO));
        let typed = [
            "",
            "logo.svg",
            "//evil.example/x",
            "/\\evil.example/x",
            "http://cdn.example.com/l.png",
            "https://user:pass@cdn.example.com/l.png",
            "https://",
            "javascript:alert(1)",
            "data:text/html;base64,PHNjcmlwdD4=",
            "data:image/svg+xml,<svg onload=alert(1)>",
            "https://cdn.example.com/a b",
            "/a\r\nSet-Cookie: x",
            long.as_str(),
        ];
        for url in typed {
            assert_eq!(logo(url), Err(vec![ThemeMistake::Logo]), "{url}");
        }
    }

    #[test]
    fn a_title_is_one_short_line() {
        for title in ["", "   ", "a\nb", "\u{7}", &"x".repeat(LONGEST_TITLE + 1)] {
            assert_eq!(Theme::new(title, None, "#1f5fa8"), Err(vec![ThemeMistake::Title]), "{title:?}");
        }
        assert_eq!(
            Theme::new(" Büro & Söhne ", None, "#1f5fa8").map(|theme| theme.title),
            Ok("Büro & Söhne".to_owned())
        );
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let mistakes = Theme::new("", Some("x"), "red").map_err(|all| all.into_iter().map(ThemeMistake::key).collect());
        assert_eq!(mistakes, Err(vec!["title", "logo", "colour"]));
    }

    #[test]
    fn a_colour_cannot_carry_a_style_of_its_own() {
        assert_eq!(Theme::new("Acme", None, "#1f5fa8}*{display:none"), Err(vec![ThemeMistake::Colour]));
    }
}
