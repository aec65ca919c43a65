//! What one line is.

use crate::{ConfError, Place};

/// What a line is.
pub(super) enum Line<'a> {
    Nothing,
    Stray(&'a str),
    Section(&'a str),
    Include(&'a str),
    Pair(&'a str, &'a str),
}

impl<'a> Line<'a> {
    pub(super) fn read(line: &'a [u8], place: &Place) -> Result<Self, ConfError> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(Self::Nothing);
        }
        if line.starts_with(b"#") && !line.starts_with(b"#include") && !line.starts_with(b"#@") {
            return Ok(Self::Nothing); // in any encoding
        }
        let text = match std::str::from_utf8(line) {
            Ok(text) if !text.contains(|c: char| c.is_control() && c != '\t') => text,
            _ => return Err(ConfError::NotText { place: place.clone() }),
        };
        if text.starts_with('#') {
            return Self::directive(text, place);
        }
        if let Some(name) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return Ok(Self::Section(name.trim()));
        }
        Ok(match text.split_once('=') {
            Some((key, value)) => Self::Pair(key.trim(), value.trim()),
            None => Self::Stray(text),
        })
    }

    fn directive(text: &'a str, place: &Place) -> Result<Self, ConfError> {
        let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        let unsupported =
            |what: &str| Err(ConfError::Unsupported { place: place.clone(), what: what.to_owned() });
        match word {
            "#include" if rest.trim().starts_with("http://") => unsupported("#include of a URL"),
            "#include" if !rest.trim().is_empty() => Ok(Self::Include(rest.trim())),
            _ if DIRECTIVES.contains(&word) => unsupported(word),
            _ => Ok(Self::Nothing),
        }
    }
}

/// Generator features of the original's reader.
const DIRECTIVES: &[&str] = &["#@set", "#@if", "#@else", "#@endif", "#@for", "#@endfor", "#@function"];
