//! `<base>/data/rs/run`: how the last run ended, and on which boot of the machine it ran.

use std::{fs, io, path::Path};

use crate::{binlog::Position, state_file};

/// The content of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RunState {
    /// What the kernel calls this boot.
    pub(crate) boot_id: String,
    /// The store was closed.
    pub(crate) clean: bool,
    /// The end of the binlog then.
    pub(crate) end: Position,
}

/// Why files may be there that no record tells of, although the journal does not know them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Doubt {
    /// Another program has written this base path.
    OtherProgram,
    /// The machine has stopped without notice.
    PowerFailure,
}

impl RunState {
    pub(crate) fn load(path: &Path) -> io::Result<Option<Self>> {
        Ok(state_file::read(path)?.as_deref().and_then(Self::parse))
    }

    /// Reads the text of the file.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(Self {
            boot_id: state_file::value_of(text, "boot_id")?,
            clean: state_file::value_of::<u8>(text, "clean")? != 0,
            end: Position {
                index: state_file::value_of(text, "binlog_index")?,
                offset: state_file::value_of(text, "binlog_offset")?,
            },
        })
    }

    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        let text = format!(
            "boot_id={}\nclean={}\nbinlog_index={}\nbinlog_offset={}\n",
            self.boot_id,
            u8::from(self.clean),
            self.end.index,
            self.end.offset
        );
        state_file::replace(path, text.as_bytes())
    }

    /// What there is to doubt after this state, with the binlog ending at `end` on boot `boot_id`.
    pub(crate) fn doubt(previous: Option<&Self>, end: Position, boot_id: &str) -> Option<Doubt> {
        match previous {
            _ if end == Position::default() => None,
            None => Some(Doubt::OtherProgram),
            Some(state) if state.clean => (state.end != end).then_some(Doubt::OtherProgram),
            Some(state) => (state.boot_id != boot_id).then_some(Doubt::PowerFailure),
        }
    }
}

/// What the kernel calls this boot; empty where it does not say.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_end_that_the_journal_does_not_cover_is_doubted() {
        let end = Position { index: 0, offset: 100 };
        let state = |boot_id: &str, clean| RunState { boot_id: boot_id.into(), clean, end };
        let doubt = |state: Option<RunState>, end| RunState::doubt(state.as_ref(), end, "this boot");
        assert_eq!(doubt(None, Position::default()), None);
        assert_eq!(doubt(None, end), Some(Doubt::OtherProgram));
        assert_eq!(doubt(Some(state("earlier", true)), end), None);
        assert_eq!(
            doubt(Some(state("this boot", true)), Position { index: 1, offset: 5 }),
            Some(Doubt::OtherProgram)
        );
        assert_eq!(doubt(Some(state("this boot", false)), end), None);
        assert_eq!(doubt(Some(state("earlier", false)), end), Some(Doubt::PowerFailure));
    }

    #[test]
    fn the_state_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run");
        assert_eq!(RunState::load(&path).unwrap(), None);
        let state = RunState { boot_id: "a-b".into(), clean: true, end: Position { index: 2, offset: 3 } };
        state.save(&path).unwrap();
        assert_eq!(RunState::load(&path).unwrap(), Some(state));
        fs::write(&path, "rubbish").unwrap();
        assert_eq!(RunState::load(&path).unwrap(), None);
    }
}
