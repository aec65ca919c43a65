//! `mod_fastdfs.conf`, with the `http.conf` that it includes: how native HTTP paths are served.

use std::path::{Path, PathBuf};

use crate::keys::{Keys, invalid};
use crate::{AntiSteal, ConfError, ConfFile, Configuration, Entry, Loaded};

mod table;

/// How native HTTP paths are served.
#[derive(Clone, Debug)]
pub struct NativeHttpConfig {
    /// Which paths are understood.
    pub url_form: UrlForm,
    /// What happens to requests for files that are elsewhere.
    pub response_mode: ResponseMode,
    /// The extension of files that are played from within, if any.
    pub flv_extension: Option<String>,
    /// The media type of what no map knows.
    pub default_content_type: String,
    /// The map of media types; the built-in one if absent.
    pub mime_types_file: Option<PathBuf>,
    /// Most ranges of one request; 1 where several are switched off.
    pub max_ranges: u32,
    /// Who may fetch files; everybody if absent.
    pub token: Option<TokenSettings>,
    /// Files of metadata (`…-m`) are served like others. Ours.
    pub expose_metadata: bool,
}

/// `url_have_group_name`: which paths are understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UrlForm {
    /// `/group1/M00/…` alone.
    WithGroup,
    /// `/M00/…` alone.
    WithoutGroup,
    /// Both: no file says otherwise.
    Either,
}

/// `response_mode`: what happens to requests for files that are elsewhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResponseMode {
    /// The file is fetched and passed on.
    Proxy,
    /// The client is told where it is.
    Redirect,
}

/// `http.anti_steal.*`: who may fetch files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenSettings {
    /// What makes a token.
    pub secret: AntiSteal,
    /// The picture for whom has no valid one; 400 if absent.
    pub picture: Option<PathBuf>,
    /// A request header, and its value, that needs no token.
    pub bypass: Option<(String, String)>,
}

impl NativeHttpConfig {
    /// The media type of what no map knows, unless configured.
    pub const DEFAULT_CONTENT_TYPE: &'static str = "application/octet-stream";
    /// Most ranges of one request, unless configured.
    pub const DEFAULT_MAX_RANGES: u32 = 16;

    /// Every setting at the default of a server without a `mod_fastdfs.conf`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            url_form: UrlForm::Either,
            response_mode: ResponseMode::Proxy,
            flv_extension: Some("flv".to_owned()),
            default_content_type: Self::DEFAULT_CONTENT_TYPE.to_owned(),
            mime_types_file: None,
            max_ranges: Self::DEFAULT_MAX_RANGES,
            token: None,
            expose_metadata: false,
        }
    }

    fn build(keys: &mut Keys<'_>) -> Result<Self, ConfError> {
        let is_plain = keys.boolean("http.disabled", false);
        let group_count = keys.count("group_count", 0);
        let with_group = keys.boolean("url_have_group_name", false);
        if let Some(entry) = keys.get("url_have_group_name").filter(|_| group_count > 0 && !with_group) {
            return Err(invalid(entry, "group_count > 0 needs url_have_group_name = true"));
        }
        let default_content_type =
            keys.owned("http.default_content_type").unwrap_or_else(|| Self::DEFAULT_CONTENT_TYPE.to_owned());
        let several = keys.boolean("http.multi_range.enabled", true);
        let most = keys.within("http.multi_range.max", Self::DEFAULT_MAX_RANGES, 1, 1024)?;
        let token = TokenSettings::read(keys)?;
        let mime_types_file = mime_types_file(keys)?;
        let flv = keys.boolean("flv_support", false);
        let extension = keys.owned("flv_extension").unwrap_or_else(|| "flv".to_owned());
        Ok(Self {
            url_form: if with_group { UrlForm::WithGroup } else { UrlForm::WithoutGroup },
            response_mode: match keys.text("response_mode") {
                Some(entry) if entry.value == "redirect" => ResponseMode::Redirect,
                Some(entry) if entry.value != "proxy" => {
                    keys.adjusted(entry, "proxy or redirect is expected; proxy is used");
                    ResponseMode::Proxy
                }
                _ => ResponseMode::Proxy,
            },
            flv_extension: flv.then_some(extension),
            default_content_type,
            mime_types_file: mime_types_file.filter(|_| !is_plain),
            max_ranges: if several && !is_plain { most } else { 1 },
            token: token.filter(|_| !is_plain),
            expose_metadata: keys.boolean("http.expose_metadata", false),
        })
    }
}

impl Default for NativeHttpConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl Configuration for NativeHttpConfig {
    fn from_file(file: &ConfFile) -> Result<Loaded<Self>, ConfError> {
        let mut keys = Keys::new(file, table::SECTIONS);
        let config = Self::build(&mut keys)?;
        Ok(Loaded { config, warnings: keys.into_warnings()? })
    }
}

impl TokenSettings {
    fn read(keys: &mut Keys<'_>) -> Result<Option<Self>, ConfError> {
        let bypass = keys.owned("anti_steal_bypass_header_name");
        let value = keys.owned("anti_steal_bypass_header_value").unwrap_or_default();
        let picture = keys.text("http.anti_steal.token_check_fail").map(beside);
        if let Some((number, entry)) = keys.integer("http.anti_steal.token_ttl").filter(|(n, _)| *n <= 0) {
            return Err(invalid(entry, format_args!("{number} is no time: give seconds, for example 900")));
        }
        let Some(secret) = AntiSteal::read(keys)? else { return Ok(None) };
        Ok(Some(Self { secret, picture, bypass: bypass.map(|name| (name, value)) }))
    }
}

fn mime_types_file(keys: &mut Keys<'_>) -> Result<Option<PathBuf>, ConfError> {
    let Some(entry) = keys.text("http.mime_types_filename") else { return Ok(None) };
    if entry.value.starts_with("http://") {
        keys.adjusted(entry, "no map is fetched over HTTP; the built-in one is used");
        return Ok(None);
    }
    Ok(Some(beside(entry)))
}

/// A file, relative to the one that names it, so that an `http.conf` works wherever it is included from.
fn beside(entry: &Entry) -> PathBuf {
    entry.place.file.parent().unwrap_or(Path::new("")).join(&entry.value)
}

#[cfg(test)]
mod tests;
