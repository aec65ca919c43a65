//! The trunk binlog as the others have it: what of it they have, and their copies.

use super::AllocError;
use crate::{Store, StoreError, store::io_error};

impl Store {
    /// Bytes of the trunk binlog; none where there is none.
    pub fn trunk_binlog_size(&self) -> Result<Option<u64>, StoreError> {
        self.0.trunk.log.size().map_err(io_error("looking up the trunk binlog"))
    }

    /// Whole lines of the trunk binlog from an offset on.
    pub fn read_trunk_binlog(&self, offset: u64, limit: usize) -> Result<String, StoreError> {
        self.0.trunk.log.read_from(offset, limit).map_err(io_error("reading the trunk binlog"))
    }

    /// How often the trunk binlog was begun anew since the start: what was sent of an older one does not count.
    pub fn trunk_generation(&self) -> u64 {
        self.0.trunk.log.generation()
    }

    /// Takes lines of the trunk server's binlog.
    pub fn take_trunk_lines(&self, lines: &str) -> Result<(), AllocError> {
        self.check_not_in_office()?;
        Ok(self.0.trunk.log.append(lines, false).map_err(io_error("writing the trunk binlog"))?)
    }

    /// Empties the copy of the trunk server's binlog, which is to be sent anew.
    pub fn truncate_trunk_binlog(&self, backups: u32) -> Result<(), AllocError> {
        self.check_not_in_office()?;
        Ok(self.0.trunk.log.truncate(backups).map_err(io_error("emptying the trunk binlog"))?)
    }

    /// Forgets how far peers have the trunk binlog: this storage is about to take the office from another.
    pub fn forget_trunk_marks(&self) -> Result<(), AllocError> {
        self.check_not_in_office()?;
        let log = &self.0.trunk.log;
        Ok(log
            .forget_marks()
            .and_then(|()| log.forget_checkpoint())
            .map_err(io_error("deleting the marks of the trunk binlog"))?)
    }

    /// How far a peer has the trunk binlog.
    pub fn trunk_mark(&self, peer: &str) -> Result<Option<u64>, StoreError> {
        self.0.trunk.log.mark(peer).map_err(io_error("reading a mark of the trunk binlog"))
    }

    /// Takes note of how far a peer has the trunk binlog.
    pub fn set_trunk_mark(&self, peer: &str, offset: u64, generation: u64) -> Result<(), StoreError> {
        self.0
            .trunk
            .log
            .set_mark(peer, offset, generation)
            .map_err(io_error("writing a mark of the trunk binlog"))
    }

    fn check_not_in_office(&self) -> Result<(), AllocError> {
        if self.is_trunk_server() {
            return Err(AllocError::Invalid("this storage is the trunk server"));
        }
        let down = self.0.trunk.take_down_sign();
        Ok(down.map_err(io_error("leaving the office of the trunk server"))?)
    }
}
