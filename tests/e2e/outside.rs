//! Programs of other makers, as their users call them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::site::Site;

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
            let mut command = self.python(PYTHON_FETCH);
            run(command.arg(&host).arg(port.to_string()).arg(id).arg(to))
        };
        let (host, port) = site.tracker();
        let node = move || {
            let mut command = Command::new("node");
            command.arg("-e").arg(NODE_FETCH).arg(&host).arg(port.to_string()).arg(id).arg(to);
            run(command.env("NODE_PATH", self.dir.join("node_modules")))
        };
        Ok(vec![("PyPI py3Fdfs", Box::new(python)), ("npm fdfs", Box::new(node))])
    }

    /// A file's metadata, `name=value` on a line each, as PyPI's py3Fdfs reads it.
    pub(crate) fn python_metadata(&self, site: &Site, id: &str) -> Result<String> {
        let (host, port) = site.tracker();
        run(self.python(PYTHON_METADATA).arg(host).arg(port.to_string()).arg(id))
    }

    fn python(&self, script: &str) -> Command {
        let mut command = Command::new(self.dir.join("venv/bin/python"));
        command.arg("-c").arg(format!("{PYTHON_CLIENT}{script}"));
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

const PYTHON_CLIENT: &str = "
import sys
from fdfs_client.client import Fdfs_client
host, port, id = sys.argv[1:4]
client = Fdfs_client({'host_tuple': (host,), 'port': int(port), 'timeout': 60, 'name': 'Tracker Pool'})
";
const PYTHON_FETCH: &str = "client.download_to_file(sys.argv[4], id.encode())";
const PYTHON_METADATA: &str = "
for name, value in client.get_meta_data(id).items():
    text = lambda part: part.decode() if isinstance(part, bytes) else part
    print(text(name) + '=' + text(value))
";
const NODE_FETCH: &str = "
const [host, port, id, to] = process.argv.slice(1)
const FdfsClient = require('fdfs')
const client = new FdfsClient({ trackers: [{ host, port: Number(port) }], timeout: 60000, charset: 'utf8' })
const target = require('fs').createWriteStream(to)
const failed = error => { console.error(error); process.exit(1) }
target.on('error', failed).on('finish', () => process.exit(0))
client.download(id, { target }).then(() => target.end(), failed)
";
