//! The style sheet and the icon. Their names hold a hash of their bytes, so a browser keeps them for ever and still
//! sees a change at once.

use super::colour::Colour;
use super::palette;
use bytes::Bytes;
use http::HeaderValue;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

const STYLE: &str = include_str!("assets/style.css");
const ICON: &str = include_str!("assets/icon.svg");

#[derive(Clone, Debug)]
pub(super) struct Assets {
    style: File,
    icon: File,
    pub(super) style_href: String,
    pub(super) icon_href: String,
}

#[derive(Clone, Debug)]
struct File {
    stem: &'static str,
    ending: &'static str,
    content_type: HeaderValue,
    bytes: Bytes,
    hash: String,
}

/// One file to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    pub bytes: Bytes,
    pub content_type: HeaderValue,
    /// With its quotes.
    pub etag: String,
    pub freshness: Freshness,
}

/// How long a browser may keep an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The name holds the hash of these very bytes.
    ForEver,
    /// The name is that of another version: while replicas are being replaced, a page may come from an older or newer
    /// one than its style sheet. The page is better served with ours than with none, and nobody may remember it.
    Once,
}

impl Assets {
    pub(super) fn new(accent: Colour, prefix: &str) -> Self {
        let style = File::new("style", "css", "text/css; charset=utf-8", palette::properties(accent) + STYLE);
        let drawn = ICON.replace("ACCENT", &accent.to_string()).replace("GLYPH", &accent.text_on().to_string());
        let icon = File::new("icon", "svg", "image/svg+xml", drawn);
        let href = |file: &File| format!("{prefix}/assets/{}-{}.{}", file.stem, file.hash, file.ending);
        Self { style_href: href(&style), icon_href: href(&icon), style, icon }
    }

    pub(super) fn find(&self, path: &str) -> Option<Asset> {
        let name = path.strip_prefix("/assets/")?;
        [&self.style, &self.icon].into_iter().find_map(|file| file.called(name))
    }
}

impl File {
    fn new(stem: &'static str, ending: &'static str, content_type: &'static str, bytes: String) -> Self {
        let digest = Sha256::digest(bytes.as_bytes());
        let hash = digest.iter().take(6).fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        Self { stem, ending, content_type: HeaderValue::from_static(content_type), bytes: bytes.into(), hash }
    }

    fn called(&self, name: &str) -> Option<Asset> {
        let hash = name.strip_prefix(self.stem)?.strip_prefix('-')?.strip_suffix(self.ending)?.strip_suffix('.')?;
        let well_formed = hash.len() == self.hash.len() && hash.bytes().all(|b| b.is_ascii_hexdigit());
        well_formed.then(|| Asset {
            bytes: self.bytes.clone(),
            content_type: self.content_type.clone(),
            etag: format!("\"{}\"", self.hash),
            freshness: if hash == self.hash { Freshness::ForEver } else { Freshness::Once },
        })
    }
}

impl Asset {
    #[must_use]
    pub fn cache_control(&self) -> HeaderValue {
        HeaderValue::from_static(match self.freshness {
            Freshness::ForEver => "public, max-age=31536000, immutable",
            Freshness::Once => "no-store",
        })
    }

    /// Whether a caller with this `If-None-Match` has it already: 304 (RFC 9110 section 13.1.2, weak comparison).
    #[must_use]
    pub fn is_known(&self, if_none_match: Option<&str>) -> bool {
        let ours = |tag: &str| tag.trim().trim_start_matches("W/") == self.etag;
        if_none_match.is_some_and(|tags| tags.trim() == "*" || tags.split(',').any(ours))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assets(accent: &str) -> Assets {
        Assets::new(Colour::parse(accent).unwrap(), "/.auth")
    }

    fn text(asset: &Asset) -> &str {
        std::str::from_utf8(&asset.bytes).unwrap()
    }

    #[test]
    fn the_style_sheet_holds_no_colour_that_the_palette_does_not_know() {
        let coloured = STYLE.lines().find(|line| line.contains('#') || line.contains("rgb") || line.contains("hsl"));
        assert_eq!(coloured, None);
    }

    #[test]
    fn the_style_sheet_and_the_icon_fetch_nothing() {
        for text in [STYLE, ICON] {
            assert!(!text.contains("url(") && !text.contains("@import") && !text.contains("href"));
        }
    }

    #[test]
    fn another_colour_has_another_name() {
        assert_ne!(assets("#1f5fa8").style_href, assets("#a81f5f").style_href);
        assert_eq!(assets("#1f5fa8").style_href, assets("#1f5fa8").style_href);
    }

    #[test]
    fn its_own_name_is_kept_for_ever_and_that_of_another_version_only_once() {
        let assets = assets("#1f5fa8");
        let ours = assets.find(assets.style_href.strip_prefix("/.auth").unwrap()).unwrap();
        assert_eq!((ours.freshness, text(&ours).contains("--accent:#1f5fa8")), (Freshness::ForEver, true));
        let other = assets.find("/assets/style-0123456789ab.css").unwrap();
        assert_eq!((other.freshness, other.bytes), (Freshness::Once, ours.bytes));
    }

    #[test]
    fn nothing_else_lies_there() {
        let assets = assets("#1f5fa8");
        for path in ["", "/assets/", "/assets/style.css", "/assets/style-.css", "/assets/style-0123456789ab.svg"] {
            assert_eq!(assets.find(path), None, "{path}");
        }
        assert_eq!(assets.find("/assets/style-../../etc/pwd.css"), None);
    }

    #[test]
    fn a_browser_that_has_it_is_told_so() {
        let assets = assets("#1f5fa8");
        let asset = assets.find("/assets/icon-0123456789ab.svg").unwrap();
        let weak = format!("W/{}", asset.etag);
        let list = format!("\"x\", {}", asset.etag);
        for tags in ["*", asset.etag.as_str(), &weak, &list] {
            assert!(asset.is_known(Some(tags)), "{tags}");
        }
        assert!(!asset.is_known(Some("\"x\"")) && !asset.is_known(None));
    }
}
