//! A gateway in a process of its own, and S3 requests to it by curl.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::{Addresses, Cluster, Daemon, Deadline, fdfs_binary};

/// A running gateway with a namespace of its own.
#[derive(Debug)]
pub struct Gateway {
    // Ended before the directory goes.
    daemon: Daemon,
    address: IpAddr,
    dir: TempDir,
}

/// What a server answered to a request.
#[derive(Debug)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// Time until all of it was there.
    pub took: Duration,
}

impl Gateway {
    /// Starts a gateway of this cluster and waits until S3 sees its first group.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn start(cluster: &Cluster) -> Result<Self> {
        Self::start_with(cluster, None, "")
    }

    /// As [`Gateway::start`], with names in this directory and further lines of configuration.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn start_with(cluster: &Cluster, namespace: Option<&Path>, lines: &str) -> Result<Self> {
        let namespace = namespace.map(|directory| format!("lmdb://{}", directory.display()));
        Self::start_on(cluster, namespace.as_deref(), lines, &[])
    }

    /// As [`Gateway::start_with`], with the URL of a namespace, and variables of the environment.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn start_on(
        cluster: &Cluster,
        namespace: Option<&str>,
        lines: &str,
        environment: &[(&str, &Path)],
    ) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("fdfs-gateway-").tempdir()?;
        let address = IpAddr::from(Addresses::next()?);
        let config = dir.path().join("gateway.toml");
        let own = format!("lmdb://{}", dir.path().join("namespace").display());
        let names = namespace.unwrap_or(&own);
        let listen = ["s3_listen = '{}:9000'", "front_listen = '{}:8000'", "console_listen = '{}:9001'"]
            .map(|line| line.replace("{}", &address.to_string()))
            .join("\n");
        let text = format!(
            "trackers = ['{}']\nnamespace = '{}'\ncredentials = '{}'\n{listen}\n\
             namespace_listen = '{address}:23100'\n{lines}\n",
            cluster.config().trackers.first().context("a tracker")?,
            names,
            dir.path().join("credentials").display(),
        );
        fs::write(&config, text)?;
        let mut command = Command::new(fdfs_binary()?);
        command.envs(environment.iter().copied());
        let daemon =
            Daemon::start(command.arg("gateway").arg("-c").arg(&config), &dir.path().join("output"))?;
        let mut gateway = Self { daemon, address, dir };
        let group = cluster.config().storages.first().context("a storage")?.group.clone();
        let probe = (gateway.s3_url(&format!("/{group}")), gateway.dir.path().join("credentials"));
        gateway.daemon.wait_until(Deadline::after(START_LIMIT), "bucket of the group", || {
            let key = credentials(&probe.1)?;
            let signed = ["--head", "--aws-sigv4", SIGNED, "-H", UNSIGNED_BODY, "--user", &key];
            let answer = curl(&probe.0, &signed, START_LIMIT)?;
            ensure!(answer.status == 200, "status {}", answer.status);
            Ok(())
        })?;
        Ok(gateway)
    }

    /// Kills it as a crash would.
    ///
    /// # Errors
    ///
    /// When its end cannot be awaited.
    pub fn kill(&mut self) -> Result<()> {
        self.daemon.crash()
    }

    /// Starts it again after that, with what it had, without waiting until it serves.
    ///
    /// # Errors
    ///
    /// When the process cannot be started.
    pub fn launch(&mut self) -> Result<()> {
        let mut command = Command::new(fdfs_binary()?);
        command.arg("gateway").arg("-c").arg(self.config());
        self.daemon = Daemon::start(&mut command, &self.dir.path().join("output"))?;
        Ok(())
    }

    /// Host and port of its namespace service.
    pub fn namespace(&self) -> String {
        format!("{}:23100", self.address)
    }

    /// Reads an object.
    ///
    /// # Errors
    ///
    /// When there is no answer at all.
    pub fn get(&self, path: &str) -> Result<HttpAnswer> {
        self.s3(path, &[])
    }

    /// Stores an object.
    ///
    /// # Errors
    ///
    /// When there is no answer at all.
    pub fn put(&self, path: &str, content: &[u8]) -> Result<HttpAnswer> {
        let file = tempfile::NamedTempFile::new_in(self.dir.path())?;
        fs::write(file.path(), content)?;
        let file = file.path().to_str().context("path is UTF-8")?;
        self.s3(path, &["--upload-file", file])
    }

    /// Sends a signed request to S3, with these arguments of curl.
    ///
    /// # Errors
    ///
    /// When there is no answer at all.
    pub fn s3(&self, path: &str, arguments: &[&str]) -> Result<HttpAnswer> {
        s3_request(&self.s3_url(path), &self.credentials(), arguments)
    }

    /// The answer of `/healthz`.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn health(&self) -> Result<HttpAnswer> {
        curl(&format!("http://{}:9001/healthz", self.address), &[], ANSWER_LIMIT)
    }

    /// The sum of a metric over all its labels.
    ///
    /// # Errors
    ///
    /// When the metrics cannot be read.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let answer = curl(&format!("http://{}:9001/metrics", self.address), &[], ANSWER_LIMIT)?;
        let text = String::from_utf8(answer.body)?;
        let value = |line: &str| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with(['{', ' ']).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        };
        Ok(text.lines().filter_map(value).sum())
    }

    /// The process.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// Base URL of the front for native paths.
    pub fn front_base(&self) -> String {
        format!("http://{}:8000", self.address)
    }

    /// Base URL of S3.
    pub fn s3_base(&self) -> String {
        self.s3_url("")
    }

    /// Where its namespace service is.
    pub fn namespace_address(&self) -> String {
        format!("{}:23100", self.address)
    }

    /// Where its metrics are.
    pub fn metrics_url(&self) -> String {
        format!("http://{}:9001/metrics", self.address)
    }

    /// Where its credentials are.
    pub fn credentials(&self) -> PathBuf {
        self.dir.path().join("credentials")
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("gateway.toml")
    }

    /// Waits until the process ends by itself.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn wait_for_end(&mut self) -> Result<ExitStatus> {
        self.daemon.wait(Deadline::after(ANSWER_LIMIT))
    }

    fn s3_url(&self, path: &str) -> String {
        format!("http://{}:9000{path}", self.address)
    }
}

/// Sends a request to S3, signed with the key in a file of credentials, with these arguments of curl.
///
/// # Errors
///
/// When there is no answer at all.
pub fn s3_request(url: &str, key: &Path, arguments: &[&str]) -> Result<HttpAnswer> {
    let key = credentials(key)?;
    let signed = [&["--aws-sigv4", SIGNED, "-H", UNSIGNED_BODY, "--user", &key], arguments].concat();
    curl(url, &signed, ANSWER_LIMIT)
}

/// The answer to a plain GET.
///
/// # Errors
///
/// When there is none.
pub fn http_get(url: &str) -> Result<HttpAnswer> {
    curl(url, &[], ANSWER_LIMIT)
}

/// Asks for a URL with curl.
fn curl(url: &str, arguments: &[&str], limit: Duration) -> Result<HttpAnswer> {
    let started = Instant::now();
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", &limit.as_secs().to_string()])
        .args(["--write-out", "\n%{http_code}"])
        .args(arguments)
        .arg(url)
        .output()
        .context("cannot run curl")?;
    let took = started.elapsed();
    if !output.status.success() {
        bail!("{url}: {} after {took:?}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let end = output.stdout.iter().rposition(|byte| *byte == b'\n').context("status of the answer")?;
    let status = String::from_utf8_lossy(&output.stdout[end + 1..]).parse()?;
    Ok(HttpAnswer { status, body: output.stdout[..end].to_vec(), took })
}

/// Key ID and secret, as curl wants them.
fn credentials(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path)?;
    let value = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned()).context("key")
    };
    Ok(format!("{}:{}", value("aws_access_key_id")?, value("aws_secret_access_key")?))
}

const SIGNED: &str = "aws:amz:us-east-1:s3";
const UNSIGNED_BODY: &str = "x-amz-content-sha256: UNSIGNED-PAYLOAD";
const START_LIMIT: Duration = Duration::from_secs(30);
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
