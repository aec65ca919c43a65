//! `fdfs_upload_file` and `fdfs_upload_appender`.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use fdfs_client::{UploadKind, UploadSpec};
use fdfs_conf::StorageConfig;
use fdfs_proto::ServerAddress;
use fdfs_types::{Extension, FileId};

use super::arguments::{Arguments, complain, say};
use super::errno;
use super::session::Session;
use crate::tools::cluster;

/// Stores a file and prints its ID.
pub fn upload_file(arguments: &Arguments) -> i32 {
    let usage = "<config_file> <local_filename> [storage_ip:port] [store_path_index]";
    let [config, file] = match arguments.first(usage) {
        Ok(first) => first,
        Err(code) => return code,
    };
    let storage = arguments.get(2);
    // Anything but a number is 0, as with the original.
    let store_path = arguments.get(3).map(|index| index.parse().unwrap_or(0));
    run(config, file, UploadKind::Normal, storage, store_path)
}

/// Stores a file that can be appended to, and prints its ID.
pub fn upload_appender(arguments: &Arguments) -> i32 {
    match arguments.first("<config_file> <local_filename>") {
        Ok([config, file]) => run(config, file, UploadKind::Appender, None, None),
        Err(code) => code,
    }
}

fn run(config: &str, file: &str, kind: UploadKind, storage: Option<&str>, store_path: Option<u8>) -> i32 {
    let session = match Session::connect(Path::new(config)) {
        Ok(session) => session,
        Err(code) => return code,
    };
    let storage = match storage.map(address).transpose() {
        Ok(storage) => storage,
        Err(error) => {
            errno::log(&error);
            let host = storage.unwrap_or_default();
            complain(format_args!(
                "resolve ip address of storage server: {host} fail!, error info: Unknown host"
            ));
            return errno::EINVAL;
        }
    };
    let spec = UploadSpec { storage, store_path, ..UploadSpec::new(Extension::from_local_name(file)) };
    match send(&session, spec.of_kind(kind), Path::new(file)) {
        Ok(id) => {
            say(id);
            0
        }
        Err(error) => {
            let code = errno::of(&error);
            errno::log(&error);
            complain(errno::failed("upload file", code));
            code
        }
    }
}

/// Stores a local file.
pub fn send(session: &Session, spec: UploadSpec, path: &Path) -> anyhow::Result<FileId> {
    let (file, size) = open(path)?;
    let upload = session.client.upload_file(spec.of_size(size), file, size);
    Ok(session.runtime.block_on(upload)?.file_id)
}

/// Opens a regular file.
pub fn open(path: &Path) -> anyhow::Result<(File, u64)> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let metadata = file.metadata().with_context(|| path.display().to_string())?;
    if !metadata.is_file() {
        let error = std::io::Error::from_raw_os_error(errno::EINVAL);
        return Err(error).with_context(|| format!("{} is not a regular file", path.display()));
    }
    Ok((file, metadata.len()))
}

/// The address of a storage, from `host`, `host:port` or `[ipv6]:port`.
fn address(text: &str) -> anyhow::Result<SocketAddr> {
    let port = StorageConfig::DEFAULT_PORT;
    if let Ok(address) = ServerAddress::parse(text, port) {
        return address.sockets().next().context("no address");
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().with_context(|| format!("port {port}"))?),
        None => (text, port),
    };
    cluster::lookup(host, port)?.into_iter().next().context("no address")
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn a_storage_has_the_usual_port_if_none_is_given() {
        let text = |text| address(text).map(|address| address.to_string()).ok();
        assert_eq!(text("127.0.8.1").as_deref(), Some("127.0.8.1:23000"));
        assert_eq!(text("127.0.8.1:5").as_deref(), Some("127.0.8.1:5"));
        assert_eq!(text("[::1]:5").as_deref(), Some("[::1]:5"));
        assert_eq!(text("127.0.8.1:port"), None);
    }
}
