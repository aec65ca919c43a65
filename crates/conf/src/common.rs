//! Keys that several files have.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use crate::keys::{Keys, invalid};
use crate::{ConfError, LogLevel, ServiceAddress};

pub(crate) fn storage_ids_path(keys: &Keys<'_>) -> Result<PathBuf, ConfError> {
    let entry = keys.get("storage_ids_filename").ok_or_else(|| {
        let help = "use_storage_id = true needs storage_ids_filename = storage_ids.conf";
        keys.missing("storage_ids_filename", help)
    })?;
    if entry.value.is_empty() {
        return Err(invalid(entry, "name the file with the ids, for example storage_ids.conf"));
    }
    Ok(keys.beside(&entry.value))
}

/// The file with the secret that members share; a relative name is one beside the configuration file.
pub(crate) fn cluster_secret_file(keys: &Keys<'_>) -> Result<Option<PathBuf>, ConfError> {
    match keys.get("cluster_secret_file") {
        None => Ok(None),
        Some(entry) if entry.value.is_empty() => Err(invalid(
            entry,
            "name the file with the secret, or leave the key out to let anybody speak for members",
        )),
        Some(entry) => Ok(Some(keys.beside(&entry.value))),
    }
}

pub(crate) fn log_level(keys: &mut Keys<'_>) -> LogLevel {
    let Some(entry) = keys.text("log_level") else { return LogLevel::Info };
    entry.value.parse().unwrap_or_else(|()| {
        keys.adjusted(entry, "no such level; info is used");
        LogLevel::Info
    })
}

pub(crate) fn metrics_listen(keys: &Keys<'_>, port: u16) -> Result<Option<ServiceAddress>, ConfError> {
    let address = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    ServiceAddress::read(keys, "metrics_listen", ServiceAddress { address, port, is_explicit: false })
}
