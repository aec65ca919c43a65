//! Programs of other makers, as their users call them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use fdfs_tests::Site;

/// Where those programs are installed.
pub(crate) struct Outside {
    dir: PathBuf,
}

/// A client's name, and a call that fetches a file with it.
type Fetcher<'a> = (&'static str, Box<dyn Fn() -> Result<String> + 'a>);

impl Outside {
    /// Uses what is installed in `dir`.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Runs aws-cli against a site; what it prints.
    pub(crate) fn aws(&self, site: &Site, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(self.dir.join("venv/bin/aws"));
        command
            .args(["--endpoint-url", &site.s3(), "--region", "us-east-1"])
            .args(arguments)
            .env("AWS_SHARED_CREDENTIALS_FILE", site.credentials())
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        run(&mut command)
    }

    /// Fetches a URL into a file.
    pub(crate) fn curl(&self, url: &str, to: &Path) -> Result<String> {
        run(Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--max-time", "120", "--output"])
            .arg(to)
            .arg(url))
    }

    /// One call for each FastDFS client that fetches the file `id` into `to`.
    pub(crate) fn fetchers<'a>(&'a self, site: &Site, id: &'a str, to: &'a Path) -> Result<Vec<Fetcher<'a>>> {
        let (host, port) = site.tracker();
        let python = move || {
            let fetch = || run(self.python(PYTHON_FETCH).arg(&host).arg(port.to_string()).arg(id).arg(to));
            // The client counts a short read as a whole one now and then (tests/clients/README.md), and times out.
            (1..PYTHON_TRIES).find_map(|_| fetch().ok()).map_or_else(fetch, Ok)
        };
        let (host, port) = site.tracker();
        let node = move || run(self.node(NODE_FETCH).arg(&host).arg(port.to_string()).arg(id).arg(to));
        Ok(vec![("PyPI py3Fdfs", Box::new(python)), ("npm fdfs", Box::new(node))])
    }

    /// A file's metadata as JSON, as npm's fdfs reads it.
    pub(crate) fn node_metadata(&self, site: &Site, id: &str) -> Result<String> {
        let (host, port) = site.tracker();
        run(self.node(NODE_METADATA).arg(host).arg(port.to_string()).arg(id))
    }

    fn python(&self, script: &str) -> Command {
        let mut command = Command::new(self.dir.join("venv/bin/python"));
        command.arg("-c").arg(script);
        command
    }

    fn node(&self, script: &str) -> Command {
        let mut command = Command::new("node");
        command
            .arg("-e")
            .arg(format!("{NODE_CLIENT}{script}"))
            .env("NODE_PATH", self.dir.join("node_modules"));
        command
    }
}

/// Runs a program to its end; what it prints.
fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command:?}: {}\n{text}{errors}", output.status);
    Ok(text.into_owned())
}

const PYTHON_TRIES: usize = 5;
const PYTHON_FETCH: &str = "
import sys
from fdfs_client.client import Fdfs_client
host, port, id, to = sys.argv[1:5]
client = Fdfs_client({'host_tuple': (host,), 'port': int(port), 'timeout': 5, 'name': 'Tracker Pool'})
client.download_to_file(to, id.encode())
";
const NODE_CLIENT: &str = "
const [host, port, id, to] = process.argv.slice(1)
const FdfsClient = require('fdfs')
const client = new FdfsClient({ trackers: [{ host, port: Number(port) }], timeout: 60000, charset: 'utf8' })
const failed = error => { console.error(error); process.exit(1) }
";
const NODE_FETCH: &str = "
const target = require('fs').createWriteStream(to)
target.on('error', failed).on('finish', () => process.exit(0))
client.download(id, { target }).then(() => target.end(), failed)
";
const NODE_METADATA: &str = "
client.getMetaData(id).then(pairs => { console.log(JSON.stringify(pairs)); process.exit(0) }, failed)
";
