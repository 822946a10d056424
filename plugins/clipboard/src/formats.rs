//! Formats: the host's, which are bits, and the guest's, which are MIME types.

use std::fmt;

use serde::Deserialize;

/// What can be exchanged with the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Text: UTF-16 at the host.
    Text,
    /// A picture: a device-independent bitmap at the host.
    Image,
    /// HTML.
    Html,
    /// A list of URIs.
    UriList,
}

/// A format of the guest's programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mime {
    /// `text/plain`: UTF-8, whatever the program's own name and encoding for it are.
    Plain,
    /// `image/png`.
    Png,
    /// `image/bmp`.
    Bmp,
    /// `text/html`.
    Html,
    /// `text/uri-list`.
    UriList,
}

/// A set of the host's formats, as the host writes it.
pub type Mask = u32;

/// In the order in which one is chosen when the host would take any, which is that of the host's own
/// programs.
const ORDER: [Format; 4] = [Format::Text, Format::Image, Format::Html, Format::UriList];

const NAMES: [(Mime, &str); 5] = [
    (Mime::Plain, "text/plain"),
    (Mime::Png, "image/png"),
    (Mime::Bmp, "image/bmp"),
    (Mime::Html, "text/html"),
    (Mime::UriList, "text/uri-list"),
];

impl Format {
    /// The host's bit for it.
    pub const fn bit(self) -> Mask {
        match self {
            Format::Text => 1,
            Format::Image => 2,
            Format::Html => 4,
            Format::UriList => 8,
        }
    }

    /// Those of a mask that are known, in the order of preference.
    pub fn all(mask: Mask) -> impl Iterator<Item = Format> {
        ORDER.into_iter().filter(move |format| mask & format.bit() != 0)
    }

    /// What it is in the guest, the best first.
    pub const fn mimes(self) -> &'static [Mime] {
        match self {
            Format::Text => &[Mime::Plain],
            // PNG first: it has transparency for certain.
            Format::Image => &[Mime::Png, Mime::Bmp],
            Format::Html => &[Mime::Html],
            Format::UriList => &[Mime::UriList],
        }
    }
}

impl Mime {
    /// The type of a name, if it is one of these.
    pub fn named(name: &str) -> Option<Mime> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(mime, _)| *mime)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name)
    }

    /// What the host has for it.
    pub const fn format(self) -> Format {
        match self {
            Mime::Plain => Format::Text,
            Mime::Png | Mime::Bmp => Format::Image,
            Mime::Html => Format::Html,
            Mime::UriList => Format::UriList,
        }
    }
}

impl fmt::Display for Mime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The host's bits for all of the guest's formats that it could have.
pub fn mask(mimes: &[Mime]) -> Mask {
    mimes.iter().fold(0, |mask, mime| mask | mime.format().bit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_a_name_and_is_among_those_of_its_format() {
        for (mime, name) in NAMES {
            assert_eq!((Mime::named(name), mime.name()), (Some(mime), name));
            assert!(mime.format().mimes().contains(&mime));
        }
        assert_eq!(Mime::named("text/plain;charset=utf-8"), None);
    }

    #[test]
    fn what_the_host_could_have_is_the_union_of_what_is_known() {
        assert_eq!(mask(&[Mime::Bmp, Mime::Png]), 2);
        assert_eq!(mask(&[Mime::Plain, Mime::Html, Mime::Png, Mime::UriList]), 0xf);
        assert_eq!(mask(&[]), 0);
    }

    #[test]
    fn bits_of_a_newer_host_are_no_format() {
        let all: Vec<_> = Format::all(0xffff_fff5).collect();
        assert_eq!(all, [Format::Text, Format::Html]);
    }
}
