//! Settings that are read from a file.

use std::io;
use std::path::Path;

use crate::{ConfError, ConfFile, Warning};

/// Settings that are read from a file, each with its type, unit and default.
pub trait Configuration: Sized {
    /// Reads a file and what it includes through `load`, for example `&mut |path| std::fs::read(path)`.
    ///
    /// # Errors
    ///
    /// A file cannot be loaded or understood, or a value cannot be used.
    fn read(
        path: &Path,
        load: &mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Loaded<Self>, ConfError> {
        Self::from_file(&ConfFile::read(path, load)?)
    }

    /// Takes the settings from a file that is read already.
    ///
    /// # Errors
    ///
    /// A value cannot be used.
    fn from_file(file: &ConfFile) -> Result<Loaded<Self>, ConfError>;
}

/// What was read from a file, with what its author should know.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The settings.
    pub config: T,
    /// Keys without effect, values that were adjusted; in the order of the file.
    pub warnings: Vec<Warning>,
}
