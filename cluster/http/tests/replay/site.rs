//! The site that the pairs were recorded on, served by this crate.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fdfs_conf::{Configuration as _, NativeHttpConfig};
use fdfs_http::{
    Content, FileContent, HttpServer, Limits, Local, MemberFiles, NativePaths, Settings, Source, SourceError,
};
use fdfs_store::{Store, StoreError, StoreOptions, StorePathOptions};
use fdfs_types::{FileId, GroupName, Timestamp};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::fronts::{self, Fronts};
use crate::pair::{Pair, vectors};
use crate::peer::{Answer, Scripted, ask};
use crate::trunk;

/// What those get who have no valid token.
pub(crate) const PICTURE: &[u8] = b"no picture for you";

/// One host's disk.
pub(crate) struct Host {
    pub(crate) ip: IpAddr,
    group: &'static str,
    root: PathBuf,
    store: Store,
}

/// The hosts of a cluster, as each of them knows them.
#[derive(Clone)]
pub(crate) struct Cluster(Arc<Vec<Host>>);

/// One host, serving its own disk.
struct OwnDisk {
    cluster: Cluster,
    ip: IpAddr,
    /// Its directories cannot be entered.
    is_locked: bool,
}

/// What one host knows of the others.
struct Others {
    cluster: Cluster,
    ip: IpAddr,
    is_alone: bool,
}

/// The whole site.
pub(crate) struct Site {
    root: tempfile::TempDir,
    ports: HashMap<&'static str, u16>,
    clock: Arc<Mutex<Timestamp>>,
    scripted: Scripted,
    fronts: Fronts,
    _stop: watch::Sender<bool>,
}

/// Settings of an instance, by the name that the recordings give it, and the cluster that it serves.
const INSTANCES: &[(&str, &str, &str)] = &[
    ("base", "P", "flv_support = true"),
    ("redir", "P", "flv_support = true\nresponse_mode = redirect"),
    ("nogrp", "P", "flv_support = true\nurl_have_group_name = false"),
    ("astp", "P", "http.anti_steal.check_token = true\nhttp.anti_steal.token_check_fail = picture.jpg"),
    ("asnp", "P", "http.anti_steal.check_token = true"),
    (
        "asby",
        "P",
        "http.anti_steal.check_token = true\nhttp.anti_steal.token_check_fail = picture.jpg\n\
         anti_steal_bypass_header_name = X-Fdfs-Bypass\nanti_steal_bypass_header_value = let-me-in",
    ),
    ("stale", "P", "storage_sync_file_max_delay = 1"),
    ("multi", "P", "group_count = 2\n[group1]\ngroup_name = group1\n[group2]\ngroup_name = group2"),
    ("multistale", "P", "group_count = 2\n[group1]\ngroup_name = group1\n[group2]\ngroup_name = group2"),
    ("multinoself", "P", "group_count = 1\n[group1]\ngroup_name = group2"),
    ("perm", "P", ""),
    ("alone", "A", "flv_support = true"),
    ("trunk", "T", "flv_support = true"),
    ("sid", "I", ""),
    ("sidf", "I", ""),
    ("sidno", "I", ""),
    ("nomr", "P", "http.multi_range.enabled = false"),
    ("tut", "P", ""),
];

const COMMON: &str = "url_have_group_name = true\nhttp.anti_steal.secret_key = FastDFS1234567890\n\
    http.anti_steal.token_ttl = 900\n";

impl Site {
    pub(crate) async fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let archive = vectors().join("http-fixtures.tar.gz");
        let unpacked = Command::new("tar").arg("xzf").arg(archive).arg("-C").arg(root.path()).status();
        assert!(unpacked.unwrap().success());
        // One host without others, whose file is damaged.
        let copied = Command::new("cp").args(["-a", "P", "A"]).current_dir(root.path()).status();
        assert!(copied.unwrap().success());
        std::fs::write(root.path().join("picture.jpg"), PICTURE).unwrap();
        let clusters: HashMap<_, _> =
            ["P", "A", "T", "I"].map(|name| (name, Cluster::open(root.path(), name))).into();
        let clock = Arc::new(Mutex::new(Timestamp(0)));
        let (stop, stopped) = watch::channel(false);
        let (mut ports, mut scripted) = (HashMap::new(), None);
        for (name, cluster, lines) in INSTANCES {
            let lines = format!("{COMMON}{lines}\n");
            let (servers, behind) = loop {
                match bind(&clusters[cluster], name, &settings(root.path(), &lines), &clock).await {
                    Some(bound) => break bound,
                    None => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            };
            ports.insert(*name, servers[0].local_addr().unwrap().port());
            for server in servers {
                tokio::spawn(server.run(stopped.clone()));
            }
            if let ("base", Some(behind)) = (*name, behind) {
                scripted = Some(Scripted::start(behind));
            }
        }
        let tokens = format!("{COMMON}{}\n", INSTANCES.iter().find(|(name, ..)| *name == "astp").unwrap().2);
        let tokens = settings(root.path(), &tokens);
        let fronts =
            Fronts::start(&clusters["P"], root.path(), tokens, &fronts::shared(&clock), &stopped).await;
        Self { root, ports, clock, scripted: scripted.unwrap(), fronts, _stop: stop }
    }

    /// Makes the change of the disk that a pair was recorded with.
    pub(crate) fn prepare(&self, pair: &Pair) {
        let path = |place: &str| self.root.path().join(place);
        let txt = path("A/s2/p1/data/00/00/fwAAAmsCerKAevMnAAAAZLWpNfw548.txt");
        let length = match &*pair.name {
            "size/truncated-local" => Some(40),
            "size/longer-local" => Some(120),
            "size/mtime-differs-normal" => Some(100),
            _ => None,
        };
        if let Some(length) = length {
            std::fs::write(txt, content(length, 7)).unwrap();
        }
        match &*pair.name {
            "replica-lag/appender-fresh-on-source" => {
                let log = path("P/s2/p0/data/00/00/fwAAAmsCerOEYCMMAAAAAPhV_HM146.log");
                std::fs::write(&log, content(1200, 7)).unwrap();
                set_modified(pair, &log);
            }
            "replica-lag/slave-not-on-replica" => self.add_slave(pair, "s2"),
            "replica-lag/slave-synced-late-lm" => self.add_slave(pair, "s3"),
            _ => {}
        }
    }

    fn add_slave(&self, pair: &Pair, host: &str) {
        let name = pair.target().rsplit('/').next().unwrap().to_owned();
        let place = self.root.path().join(format!("P/{host}/p0/data/00/00/{name}"));
        let (_, length) = pair.body_sha256_or_text.split_once("len:").unwrap();
        let length: usize = length.parse().unwrap();
        let seed = (0..=255_usize).find(|seed| {
            let content = content(length, *seed);
            let answer = Answer { status: 200, headers: Vec::new(), body: content, is_cut: false };
            pair.body_sha256_or_text.contains(&answer.sha256())
        });
        std::fs::write(&place, content(length, seed.expect("the pattern of the recordings"))).unwrap();
        set_modified(pair, &place);
    }

    /// The answer to a recorded request, and what a server behind was asked for it.
    pub(crate) async fn ask(&self, pair: &Pair) -> (Answer, Option<String>) {
        *self.clock.lock() = pair.time().unwrap_or_else(SystemTime::now).into();
        if Fronts::INSTANCES.contains(&pair.word("instance")) {
            return (self.fronts.ask(pair).await, None);
        }
        let instance = if pair.group() == "size" { "alone" } else { pair.word("instance") };
        let ip: IpAddr = pair.word("host").parse().unwrap();
        self.scripted.answer_with(pair.scripted_upstream_response.as_deref().unwrap_or_default());
        let answer = ask(SocketAddr::new(ip, self.ports[instance]), pair).await;
        (answer, self.scripted.asked())
    }
}

impl Cluster {
    fn open(root: &Path, name: &str) -> Self {
        let host = |number: &u8| {
            let ip = IpAddr::from([127, 0, 0, *number]);
            let place = root.join(name).join(format!("s{number}"));
            place.is_dir().then(|| Host::open(ip, place, if *number == 5 { "group2" } else { "group1" }))
        };
        Self(Arc::new((2..=5).collect::<Vec<u8>>().iter().filter_map(host).collect()))
    }

    /// The hosts of a group.
    pub(crate) fn hosts_of(&self, group: &GroupName) -> impl Iterator<Item = &Host> {
        self.0.iter().filter(move |host| host.group == group.as_str())
    }

    fn host(&self, ip: IpAddr) -> &Host {
        self.0.iter().find(|host| host.ip == ip).unwrap()
    }
}

impl Host {
    fn open(ip: IpAddr, root: PathBuf, group: &'static str) -> Self {
        let base = root.join("base");
        std::fs::create_dir(&base).unwrap();
        let mut options = StoreOptions::new(base, fdfs_types::Source::Ip(std::net::Ipv4Addr::LOCALHOST));
        let paths = ["p0", "p1"].map(|path| root.join(path)).into_iter().filter(|path| path.is_dir());
        options.store_paths = paths.map(|path| StorePathOptions { path, read_only: false }).collect();
        options.subdir_count = 2;
        Self { ip, group, root, store: Store::open(&options).unwrap() }
    }

    /// Opens a file of its disk.
    pub(crate) fn file(&self, id: &FileId) -> Result<Content, SourceError> {
        if id.group.as_str() != self.group {
            return Err(SourceError::NotFound);
        }
        match self.store.open_file_within(&id.filename) {
            Ok(open) => {
                let reader = Box::new(FileContent::part(open.file, open.start));
                Ok(Content { size: open.size, modified: open.modified, holder: None, reader })
            }
            Err(StoreError::NoSuchStorePath { .. }) => Err(SourceError::Foreign("no such store path")),
            Err(StoreError::Io { source, .. }) => {
                Err(SourceError::Io(std::io::Error::new(source.kind(), source)))
            }
            Err(_) => trunk::open(&self.root.join("p0/data"), &id.filename),
        }
    }
}

impl Local for OwnDisk {
    fn open_here(&self, id: &FileId) -> Result<Content, SourceError> {
        if self.is_locked {
            return Err(SourceError::Io(std::io::ErrorKind::PermissionDenied.into()));
        }
        self.cluster.host(self.ip).file(id)
    }

    fn is_source(&self, id: &FileId) -> bool {
        source(id) == Some(self.ip)
    }
}

impl Source for Others {
    async fn open(&self, id: &FileId) -> Result<Content, SourceError> {
        let others = self.cluster.0.iter().filter(|host| host.ip != self.ip && !self.is_alone);
        let found =
            others.filter_map(|host| Some(Content { holder: Some(host.ip), ..host.file(id).ok()? })).next();
        // The member that is no storage, and answers in HTTP alone.
        let is_one_away = source(id) == Some(BEHIND);
        found.ok_or(if is_one_away { SourceError::Unavailable } else { SourceError::NotFound })
    }

    async fn members(&self, id: &FileId) -> Vec<IpAddr> {
        let members = self.cluster.0.iter().map(|host| host.ip).chain([BEHIND]);
        members.filter(|ip| *ip != self.ip && source(id) == Some(*ip)).collect()
    }
}

/// The host where a scripted server answers.
const BEHIND: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 6));

fn source(id: &FileId) -> Option<IpAddr> {
    match id.filename.fields().ok()?.source {
        fdfs_types::Source::Ip(ip) => Some(ip.into()),
        fdfs_types::Source::Id(_) => None,
    }
}

/// The content of a file changed when the recording says.
fn set_modified(pair: &Pair, file: &Path) {
    let modified = pair.response_headers.iter().find(|(name, _)| name == "Last-Modified").unwrap();
    let modified = httpdate::parse_http_date(&modified.1).unwrap();
    std::fs::File::options().write(true).open(file).unwrap().set_modified(modified).unwrap();
}

fn content(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + seed + at / 256) as u8).collect()
}

fn settings(root: &Path, lines: &str) -> Settings {
    let loaded = NativeHttpConfig::read(&root.join("mod_fastdfs.conf"), &mut |_| Ok(lines.into())).unwrap();
    Settings::load(&loaded.config).unwrap()
}

type Server = HttpServer<NativePaths<MemberFiles<OwnDisk, Others>>>;

/// A server on every host of a cluster, all on one port; and who listens on it behind them.
async fn bind(
    cluster: &Cluster,
    name: &str,
    settings: &Settings,
    clock: &Arc<Mutex<Timestamp>>,
) -> Option<(Vec<Server>, Option<TcpListener>)> {
    let mut servers: Vec<Server> = Vec::new();
    for host in cluster.0.iter() {
        let port = servers.first().map_or(0, |first| first.local_addr().unwrap().port());
        let own = OwnDisk { cluster: cluster.clone(), ip: host.ip, is_locked: name == "perm" };
        let is_alone = matches!(name, "perm" | "alone");
        let others = Others { cluster: cluster.clone(), ip: host.ip, is_alone };
        let files = Arc::new(MemberFiles::new(own, others));
        let clock = Arc::clone(clock);
        let paths = NativePaths::new(files, Arc::new(settings.clone()), host.group.parse().ok());
        let paths = Arc::new(paths.with_clock(move || *clock.lock()));
        servers.push(HttpServer::bind(SocketAddr::new(host.ip, port), paths, Limits::default()).await.ok()?);
    }
    let port = servers[0].local_addr().unwrap().port();
    let behind = if name == "base" { Some(TcpListener::bind((BEHIND, port)).await.ok()?) } else { None };
    Some((servers, behind))
}
