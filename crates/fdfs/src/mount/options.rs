//! `-o` of `fdfs mount`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use fdfs_mount::Config;
use fdfs_objects::WriteConcern;

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
    source_name: Option<String>,
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
                ("fsname", Some(value)) => options.source_name = Some(value.to_owned()),
                (name, None) if FOR_OTHERS.contains(&name) => {}
                _ => bail!(
                    "-o {text} is not known; known are ro, rw, allow_other, raw_delete, write_concern=storage|local|replicated, cluster_secret_file=FILE, cache=SECONDS, spool=DIR, fsname=NAME"
                ),
            }
        }
        Ok(options)
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
            source_name: self.source_name.clone().unwrap_or(usual.source_name),
            ..usual
        }
    }
}

/// What mount(8) and fstab say to others, or what always holds.
const FOR_OTHERS: [&str; 9] =
    ["defaults", "auto", "noauto", "nofail", "_netdev", "user", "nodev", "nosuid", "default_permissions"];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> anyhow::Result<MountOptions> {
        MountOptions::parse(&text.split(',').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_of_fstab_are_understood() {
        let options =
            parse("ro,allow_other,_netdev,write_concern=replicated,cache=2,fsname=pictures").unwrap();
        assert_eq!(options.write_concern, WriteConcern::Replicated);
        let config = options.config(Path::new("/mnt/fdfs"));
        assert!(config.read_only && config.allow_other && !config.raw_delete);
        assert_eq!((config.cache, config.source_name.as_str()), (Duration::from_secs(2), "pictures"));
    }

    #[test]
    fn an_option_that_is_not_known_is_named() {
        for text in ["acl", "ro=1", "cache", "cache=soon", "write_concern=all"] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(text), "{error}");
        }
    }
}
