//! How native paths are served: the configuration, with the files that it names.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use fdfs_conf::{NativeHttpConfig, ResponseMode, UrlForm};
use http::HeaderValue;
use thiserror::Error;

use crate::{MediaTypes, TokenCheck};

/// How native paths are served.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which paths are understood.
    pub url_form: UrlForm,
    /// What happens to requests for files that are elsewhere.
    pub response_mode: ResponseMode,
    /// The extension of files that are played from within, if any.
    pub flv_extension: Option<String>,
    /// Media types by extension.
    pub types: MediaTypes,
    /// Most ranges of one request.
    pub max_ranges: usize,
    /// Who may fetch files; everybody if absent.
    pub token: Option<TokenCheck>,
    /// What those get who may not; 400 if absent.
    pub picture: Option<Picture>,
    /// Files of metadata are served like others.
    pub expose_metadata: bool,
}

/// What a request without a valid token gets instead of the file.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The picture.
    pub bytes: Bytes,
    /// Its media type.
    pub media_type: HeaderValue,
}

/// A file that the configuration names cannot be used.
#[derive(Debug, Error)]
#[error("{key} = {}: {source}", path.display())]
pub struct SettingsError {
    /// The key that names it.
    pub key: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub source: io::Error,
}

impl Settings {
    /// Takes over a configuration, and reads the files that it names.
    pub fn load(config: &NativeHttpConfig) -> Result<Self, SettingsError> {
        let default = &config.default_content_type;
        let types = match &config.mime_types_file {
            None => MediaTypes::built_in(default),
            Some(path) => {
                let text = read("http.mime_types_filename", path, MAX_TYPES)?;
                MediaTypes::parse(&String::from_utf8_lossy(&text), default)
            }
        };
        let picture = config.token.as_ref().and_then(|token| token.picture.as_ref());
        let picture = picture.map(|path| {
            let bytes = read("http.anti_steal.token_check_fail", path, MAX_PICTURE)?.into();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Ok(Picture { bytes, media_type: types.of(&name).clone() })
        });
        Ok(Self {
            url_form: config.url_form,
            response_mode: config.response_mode,
            flv_extension: config.flv_extension.clone(),
            picture: picture.transpose()?,
            types,
            max_ranges: usize::try_from(config.max_ranges).unwrap_or(usize::MAX),
            token: config.token.clone().map(TokenCheck::new),
            expose_metadata: config.expose_metadata,
        })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::load(&NativeHttpConfig::new()).expect("the defaults name no file")
    }
}

/// Reads a file that is kept in memory, up to a size that makes sense for it.
fn read(key: &'static str, path: &Path, most: u64) -> Result<Vec<u8>, SettingsError> {
    let failed = |source| SettingsError { key, path: path.to_owned(), source };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > most {
        let text = format!("the file has {length} bytes; at most {most} are kept in memory");
        return Err(failed(io::Error::other(text)));
    }
    std::fs::read(path).map_err(failed)
}

const MAX_TYPES: u64 = 4 * 1024 * 1024;
const MAX_PICTURE: u64 = 16 * 1024 * 1024;
