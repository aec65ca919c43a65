//! `-o` of `fdfs mount`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use fdfs_conf::{LogSettings, ServiceAddress};
use fdfs_mount::{Config, DiskCacheConfig};
use fdfs_objects::WriteConcern;
use fdfs_ops::LogOptions;

/// What `-o` says.
#[derive(Debug, Default)]
pub struct MountOptions {
    allow_other: bool,
    read_only: bool,
    /// Raw files may be deleted by their paths.
    pub raw_delete: bool,
    /// What storages are asked for before content counts as stored.
    pub write_concern: WriteConcern,
    /// A file that holds the secret of the cluster.
    pub cluster_secret_file: Option<PathBuf>,
    cache: Option<Duration>,
    spool: Option<PathBuf>,
    memory: Option<usize>,
    cache_dir: Option<PathBuf>,
    cache_size: Option<u64>,
    source_name: Option<String>,
    no_exec: bool,
    access_times: bool,
    /// The namespace service, or the database.
    pub namespace: Option<String>,
    /// A file that holds the secret of the namespace service.
    pub namespace_secret_file: Option<PathBuf>,
    log: Option<PathBuf>,
    restarts: Option<bool>,
    /// Where metrics are answered.
    pub metrics: Option<ServiceAddress>,
}

impl MountOptions {
    /// Reads options. One that is not known is refused, not ignored.
    pub fn parse(texts: &[String]) -> anyhow::Result<Self> {
        let mut options = Self::default();
        for text in texts.iter().filter(|text| !text.is_empty()) {
            let (name, value) =
                text.split_once('=').map_or((text.as_str(), None), |(name, value)| (name, Some(value)));
            match (name, value) {
                ("allow_other", None) => options.allow_other = true,
                ("ro", None) => options.read_only = true,
                ("rw", None) => options.read_only = false,
                ("raw_delete", None) => options.raw_delete = true,
                ("write_concern", Some("storage")) => options.write_concern = WriteConcern::Storage,
                ("write_concern", Some("local")) => options.write_concern = WriteConcern::Local,
                ("write_concern", Some("replicated")) => options.write_concern = WriteConcern::Replicated,
                ("cache", Some(value)) => {
                    let seconds =
                        value.parse().with_context(|| format!("-o {text}: not a number of seconds"))?;
                    options.cache = Some(Duration::from_secs(seconds));
                }
                ("cluster_secret_file", Some(value)) => options.cluster_secret_file = Some(value.into()),
                ("spool", Some(value)) => options.spool = Some(value.into()),
                ("memory", Some(value)) => options.memory = Some(memory(text, value)?),
                ("cache_dir", Some(value)) => options.cache_dir = Some(std::path::absolute(value)?),
                ("cache_size", Some(value)) => {
                    let size = fdfs_conf::parse_size(value).with_context(|| format!("-o {text}"))?;
                    options.cache_size = Some(size);
                }
                ("fsname", Some(value)) => options.source_name = Some(value.to_owned()),
                ("noexec", None) => options.no_exec = true,
                ("relatime", None) => options.access_times = true,
                ("noatime" | "norelatime", None) => options.access_times = false,
                ("exec", None) => options.no_exec = false,
                ("namespace", Some(value)) => options.namespace = Some(value.to_owned()),
                ("namespace_secret_file", Some(value)) => options.namespace_secret_file = Some(value.into()),
                ("log", Some(value)) => options.log = Some(std::path::absolute(value)?),
                ("metrics", Some(value)) => options.metrics = Some(listener(text, value)?),
                ("restart", None) => options.restarts = Some(true),
                ("norestart", None) => options.restarts = Some(false),
                (name, _) if name.starts_with("x-") || name.starts_with("X-") || name == "comment" => {}
                (name, None) if FOR_OTHERS.contains(&name) => {}
                _ => bail!(
                    "-o {text} is not known; known are ro, rw, allow_other, raw_delete, write_concern=storage|local|replicated, cluster_secret_file=FILE, cache=SECONDS, spool=DIR, memory=SIZE, cache_dir=DIR, cache_size=SIZE, fsname=NAME, noexec, relatime, namespace=HOST:PORT|URL, namespace_secret_file=FILE, log=FILE, metrics=[ADDRESS:]PORT, restart, norestart"
                ),
            }
        }
        Ok(options)
    }

    /// Where the log goes: to standard error, but for a process in the background.
    pub fn logging(&self, in_background: bool) -> LogOptions {
        let file = match &self.log {
            Some(file) => Some(file.clone()),
            None if in_background => Some(PathBuf::from(USUAL_LOG)).filter(|file| can_write(file)),
            None => None,
        };
        let file = file.map(|file| (file, LogSettings::default()));
        LogOptions { stderr: !in_background, file, ..LogOptions::default() }
    }

    /// Whether another process follows one that crashed: in the background, where nothing else is said.
    pub fn restarts(&self, in_background: bool) -> bool {
        self.restarts.unwrap_or(in_background)
    }

    /// True if they say where the spool is.
    pub fn has_spool(&self) -> bool {
        self.spool.is_some()
    }

    /// How to mount on `directory`.
    pub fn config(&self, directory: &Path) -> Config {
        let usual = Config::new(directory);
        Config {
            allow_other: self.allow_other,
            read_only: self.read_only,
            raw_delete: self.raw_delete,
            cache: self.cache.unwrap_or(usual.cache),
            spool: self.spool.clone().unwrap_or(usual.spool),
            memory: self.memory.unwrap_or(usual.memory),
            disk_cache: self
                .cache_dir
                .clone()
                .map(|directory| DiskCacheConfig { directory, size: self.cache_size.unwrap_or(USUAL_CACHE) }),
            source_name: self.source_name.clone().unwrap_or(usual.source_name),
            no_exec: self.no_exec,
            access_times: self.access_times,
            ..usual
        }
    }
}

fn listener(text: &str, value: &str) -> anyhow::Result<ServiceAddress> {
    let wrong = || format!("-o {text}: not [ADDRESS:]PORT");
    let (address, port) = match value.rsplit_once(':') {
        Some((address, port)) => (Some(address.trim_matches(['[', ']']).parse().with_context(wrong)?), port),
        None => (None, value),
    };
    Ok(ServiceAddress { address, port: port.parse().with_context(wrong)?, is_explicit: true })
}

fn memory(text: &str, value: &str) -> anyhow::Result<usize> {
    let size = fdfs_conf::parse_size(value).with_context(|| format!("-o {text}"))?;
    if size < LEAST_MEMORY {
        bail!("-o {text}: a mount needs 128M at least");
    }
    Ok(usize::try_from(size)?)
}

fn can_write(file: &Path) -> bool {
    let can = std::fs::File::options().append(true).create(true).open(file).is_ok();
    if !can {
        eprintln!("{} cannot be written, there is no log: -o log=FILE names another", file.display());
    }
    can
}

/// What mount(8) and fstab say to others, or what always holds.
const FOR_OTHERS: [&str; 19] = [
    "defaults",
    "auto",
    "noauto",
    "nofail",
    "_netdev",
    "user",
    "users",
    "nouser",
    "owner",
    "group",
    "nodev",
    "nosuid",
    "default_permissions",
    "async",
    "atime",
    "diratime",
    "nodiratime",
    "lazytime",
    "nolazytime",
];
/// Bytes that the cache on disk takes where nothing is said.
const USUAL_CACHE: u64 = 10 << 30;
/// What a mount needs to move the largest requests.
const LEAST_MEMORY: u64 = 128 << 20;
/// The log of mounts in the background.
const USUAL_LOG: &str = "/var/log/fdfs-mount.log";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> anyhow::Result<MountOptions> {
        MountOptions::parse(&text.split(',').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_of_fstab_are_understood() {
        let options =
            parse("ro,allow_other,_netdev,memory=128M,cache_dir=/c,cache_size=2G,write_concern=replicated,cache=2,fsname=pictures")
                .unwrap();
        assert_eq!(options.write_concern, WriteConcern::Replicated);
        let config = options.config(Path::new("/mnt/fdfs"));
        assert_eq!(config.memory, 128 << 20);
        assert_eq!(config.disk_cache, Some(DiskCacheConfig { directory: "/c".into(), size: 2 << 30 }));
        assert!(config.read_only && config.allow_other && !config.raw_delete);
        let options =
            parse("noexec,relatime,nosuid,x-systemd.automount,namespace=gw:23100,metrics=9117,log=/l")
                .unwrap();
        assert_eq!(options.namespace.as_deref(), Some("gw:23100"));
        assert!(
            options.config(Path::new("/mnt")).no_exec
                && options.config(Path::new("/mnt")).access_times
                && !config.access_times
                && options.metrics.is_some_and(|metrics| metrics.port == 9_117)
        );
        assert!(options.restarts(true) && !options.restarts(false));
        assert!(!parse("norestart").unwrap().restarts(true) && parse("restart").unwrap().restarts(false));
        assert_eq!((config.cache, config.source_name.as_str()), (Duration::from_secs(2), "pictures"));
    }

    #[test]
    fn an_option_that_is_not_known_is_named() {
        for text in [
            "acl",
            "ro=1",
            "cache",
            "cache=soon",
            "memory=1M",
            "memory=much",
            "cache_size=most",
            "write_concern=all",
            "metrics=here",
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(text), "{error}");
        }
    }
}
