//! Unchanged clients of other makers do their whole API against a cluster of ours.
//!
//! Each driver of this directory reports every step on one line. Which steps fail for a fault of the client
//! stands in `README.md`, in the table that is read here: those have to fail, and no other may.

mod certificate;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fdfs_tests::{
    Addresses, Cluster, ClusterConfig, Daemon, Deadline, Gateway, Site, StorageConfig, clients_dir,
    rust_clients_dir,
};

/// What the table says of a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fails {
    Always,
    Sometimes,
}

#[test]
fn pypi_py3fdfs_does_its_whole_api() -> Result<()> {
    drive("pypi_py3fdfs.py", "")
}

#[test]
fn pypi_py3fdfs_does_not_notice_that_members_share_a_secret() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let secret = dir.path().join("secret");
    fs::write(&secret, "known to the members of this cluster")?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    let line = format!("cluster_secret_file={}\n", secret.display());
    drive_against("pypi_py3fdfs.py", &line, &line)
}

#[test]
fn pypi_fastdfs_client_does_its_whole_api() -> Result<()> {
    drive("pypi_fastdfs_client.py", "response_ip_addr_size=IPv6\n")
}

#[test]
fn npm_fdfs_does_its_whole_api() -> Result<()> {
    drive("npm_fdfs.js", "")
}

#[test]
fn npm_fdfs_client_does_its_whole_api() -> Result<()> {
    drive("npm_fdfs_client.js", "")
}

#[test]
fn npm_fastdfs_client_does_its_whole_api() -> Result<()> {
    drive("npm_fastdfs_client.js", "")
}

#[test]
fn boto3_does_the_s3_api() -> Result<()> {
    drive_s3("s3_boto3.py")
}

#[test]
fn ten_thousand_mixed_requests_on_one_connection_meet_no_stall_and_no_reset() -> Result<()> {
    drive_s3("s3_session.py")
}

#[test]
fn boto3_does_the_s3_api_over_https() -> Result<()> {
    drive_s3_over_https("s3_boto3.py")
}

#[test]
fn the_aws_command_line_does_the_s3_api() -> Result<()> {
    drive_s3("s3_aws_cli.py")
}

#[test]
fn the_aws_command_line_does_the_s3_api_over_https() -> Result<()> {
    drive_s3_over_https("s3_aws_cli.py")
}

#[test]
fn s3cmd_does_the_s3_api() -> Result<()> {
    drive_s3("s3_s3cmd.py")
}

#[test]
fn s3cmd_does_the_s3_api_over_https() -> Result<()> {
    drive_s3_over_https("s3_s3cmd.py")
}

#[test]
fn rclone_does_the_s3_api() -> Result<()> {
    drive_s3("s3_rclone.py")
}

#[test]
fn rclone_does_the_s3_api_over_https() -> Result<()> {
    drive_s3_over_https("s3_rclone.py")
}

#[test]
fn s3fs_does_the_s3_api() -> Result<()> {
    drive_s3("s3_s3fs.py")
}

#[test]
fn s3fs_does_the_s3_api_over_https() -> Result<()> {
    drive_s3_over_https("s3_s3fs.py")
}

#[test]
fn pypi_minio_does_the_s3_api() -> Result<()> {
    drive_s3("s3_minio.py")
}

#[test]
fn pypi_minio_does_the_s3_api_over_https() -> Result<()> {
    drive_s3_over_https("s3_minio.py")
}

#[test]
fn restic_backs_up_and_restores() -> Result<()> {
    drive_s3("s3_restic.py")
}

#[test]
fn restic_backs_up_and_restores_over_https() -> Result<()> {
    drive_s3_over_https("s3_restic.py")
}

#[test]
fn the_javascript_sdk_of_aws_does_the_s3_api() -> Result<()> {
    drive_s3("s3_aws_sdk.js")
}

/// As in front of a cluster of originals: only their commands are spoken.
#[test]
fn boto3_does_the_s3_api_over_storages_that_know_no_command_of_ours() -> Result<()> {
    let mut config = ClusterConfig::new(SocketAddr::new(Addresses::next()?.into(), 22122));
    let storage = SocketAddr::new(Addresses::next()?.into(), 23000);
    let lines = "subdir_count_per_path=4\nown_commands=false".to_owned();
    config.storages.push(StorageConfig { lines, ..StorageConfig::new(storage, "group1", 1) });
    let cluster = Cluster::start(config)?;
    let gateway = Gateway::start(&cluster)?;
    let work = cluster.dir().join("client");
    fs::create_dir(&work)?;
    let output = cluster.dir().join("steps");
    let mut command = command("s3_boto3.py")?;
    command
        .env("FDFS_S3", gateway.s3_base())
        .env("FDFS_METRICS", gateway.metrics_url())
        .env("FDFS_GROUP", "group1")
        .env("FDFS_WORK_DIR", &work)
        .env("AWS_SHARED_CREDENTIALS_FILE", gateway.credentials())
        .env("AWS_CONFIG_FILE", cluster.dir().join("no-such-file"));
    run(&mut command, &output)?;
    compare("s3_boto3.py", &fs::read_to_string(output)?)?;
    ensure!(
        gateway.metric("fdfs_objects_uploads_without_owner_total")? > 10.0,
        "the storage knew commands of ours"
    );
    Ok(())
}

#[test]
fn the_javascript_sdk_of_aws_does_the_s3_api_over_https() -> Result<()> {
    drive_s3_over_https("s3_aws_sdk.js")
}

#[test]
fn the_rust_sdk_of_aws_does_the_s3_api() -> Result<()> {
    drive_s3("rust/src/main.rs")
}

#[test]
fn the_rust_sdk_of_aws_does_the_s3_api_over_https() -> Result<()> {
    drive_s3_over_https("rust/src/main.rs")
}

#[test]
fn s3s_e2e_finds_the_s3_api_as_it_should_be() -> Result<()> {
    drive_s3("s3_s3s_e2e.py")
}

#[test]
fn s3s_e2e_finds_the_s3_api_as_it_should_be_over_https() -> Result<()> {
    drive_s3_over_https("s3_s3s_e2e.py")
}

#[test]
fn the_table_of_faults_names_drivers_that_exist() -> Result<()> {
    for driver in faults()?.keys() {
        ensure!(here().join(driver).is_file(), "{driver} is gone");
    }
    Ok(())
}

/// Runs a driver against a new cluster of one tracker and one storage.
fn drive(driver: &str, tracker_lines: &str) -> Result<()> {
    drive_against(driver, tracker_lines, "")
}

/// The same with further lines for the storage, too.
fn drive_against(driver: &str, tracker_lines: &str, storage_lines: &str) -> Result<()> {
    // One address for both: the asynchronous PyPI client takes the host of a file's URL for its tracker.
    let address = Addresses::next()?.into();
    let (tracker, storage) = (SocketAddr::new(address, 22122), SocketAddr::new(address, 23000));
    let mut config = ClusterConfig::new(tracker);
    config.tracker_lines = format!("store_lookup=0\nreserved_storage_space=1%\n{tracker_lines}");
    let mut storage_config = StorageConfig::new(storage, "group1", 2);
    storage_config.lines = format!("subdir_count_per_path=8\n{storage_lines}");
    config.storages.push(storage_config);
    let cluster = Cluster::start(config)?;

    let work = cluster.dir().join("client");
    fs::create_dir(&work)?;
    let output = cluster.dir().join("steps");
    let mut command = command(driver)?;
    command
        .env("FDFS_TRACKER", tracker.to_string())
        .env("FDFS_STORAGE", storage.to_string())
        .env("FDFS_GROUP", "group1")
        .env("FDFS_WORK_DIR", &work);
    run(&mut command, &output)?;
    compare(driver, &fs::read_to_string(output)?)
}

/// Runs a driver against `fdfs up` with a new directory.
fn drive_s3(driver: &str) -> Result<()> {
    drive_s3_at(driver, Site::start_without_mount()?, None)
}

/// The same with S3 encrypted, and an authority that is told to the client alone.
fn drive_s3_over_https(driver: &str) -> Result<()> {
    let site = Site::start_encrypted(certificate::make)?;
    let authority = site.dir().join(certificate::AUTHORITY);
    drive_s3_at(driver, site, Some(&authority))
}

fn drive_s3_at(driver: &str, mut site: Site, authority: Option<&Path>) -> Result<()> {
    let work = site.dir().join("client");
    fs::create_dir(&work)?;
    let output = site.dir().join("steps");
    let mut command = command(driver)?;
    command
        .env("FDFS_S3", site.s3())
        .env("FDFS_METRICS", site.metrics())
        .env("FDFS_GROUP", "group1")
        .env("FDFS_WORK_DIR", &work)
        .env("AWS_SHARED_CREDENTIALS_FILE", site.credentials())
        .env("AWS_CONFIG_FILE", site.dir().join("no-such-file"));
    // Where botocore, OpenSSL (and rustls), and Node.js look for authorities.
    for variable in ["AWS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"] {
        match authority {
            Some(authority) => command.env(variable, authority),
            None => command.env_remove(variable),
        };
    }
    run(&mut command, &output)?;
    compare(driver, &fs::read_to_string(output)?)?;
    site.stop()
}

/// A driver, to be run by the interpreter of its language beside the clients that are installed.
fn command(driver: &str) -> Result<Command> {
    let installed = clients_dir()?;
    let tools =
        if driver.contains("rust") || driver.contains("s3s") { rust_clients_dir()? } else { PathBuf::new() };
    let mut command = match driver.rsplit_once('.') {
        Some((_, "py")) => Command::new(installed.join("venv/bin/python")),
        Some((_, "js")) => Command::new("node"),
        _ => Command::new(tools.join("bin/s3-aws-sdk")),
    };
    command
        .arg(here().join(driver))
        .env("NODE_PATH", installed.join("node_modules"))
        .env("FDFS_TOOLS", tools)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

/// Runs a driver to its end; its lines go to the file `output`.
fn run(command: &mut Command, output: &Path) -> Result<()> {
    let errors = output.with_extension("errors");
    command.stdin(Stdio::null()).stdout(File::create(output)?).stderr(File::create(&errors)?);
    let mut child = Daemon::adopt(command.spawn().with_context(|| format!("{command:?}"))?, &errors);
    let status = child.wait(Deadline::after(DRIVER_LIMIT))?;
    ensure!(
        status.success(),
        "{status} after\n{}\n{}",
        fs::read_to_string(output)?,
        fs::read_to_string(errors)?
    );
    Ok(())
}

/// Compares what a driver reported with what the table says of it.
fn compare(driver: &str, report: &str) -> Result<()> {
    let known = faults()?.remove(driver).unwrap_or_default();
    let (mut passed, mut problems) = (BTreeSet::new(), Vec::new());
    for line in report.lines() {
        if let Some(step) = line.strip_prefix("ok ") {
            passed.insert(step);
            if known.get(step) == Some(&Fails::Always) {
                problems.push(format!("{step} fails no longer"));
            }
        } else if let Some((step, _)) = line.strip_prefix("failed ").and_then(|rest| rest.split_once(": ")) {
            if !known.contains_key(step) {
                problems.push(line.to_owned());
            }
        } else {
            problems.push(format!("not understood: {line}"));
        }
    }
    for step in known.keys() {
        let failed = format!("failed {step}: ");
        if !passed.contains(step.as_str()) && !report.lines().any(|line| line.starts_with(&failed)) {
            problems.push(format!("{step} did not run"));
        }
    }
    ensure!(passed.len() >= LEAST_STEPS, "only {} steps passed:\n{report}", passed.len());
    ensure!(problems.is_empty(), "{driver}:\n{}", problems.join("\n"));
    Ok(())
}

/// The table of faults: driver, step, and when it fails.
fn faults() -> Result<BTreeMap<String, BTreeMap<String, Fails>>> {
    let text = fs::read_to_string(here().join("README.md"))?;
    let (_, table) = text.split_once("\n## Faults of the clients\n").context("the table of faults")?;
    let mut faults = BTreeMap::<_, BTreeMap<_, _>>::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.trim_matches('|').splitn(4, '|').map(str::trim).collect();
        let [driver, step, when, why] = cells[..] else { bail!("a row of {} cells: {row}", cells.len()) };
        ensure!(!why.is_empty(), "no fault is named in: {row}");
        let when = match when {
            "always" => Fails::Always,
            "sometimes" => Fails::Sometimes,
            _ => bail!("fails when? {row}"),
        };
        faults.entry(driver.trim_matches('`').to_owned()).or_default().insert(step.to_owned(), when);
    }
    ensure!(!faults.is_empty(), "the table of faults is empty");
    Ok(faults)
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// How long a driver may take.
const DRIVER_LIMIT: Duration = Duration::from_secs(480);
/// Fewer steps than this mean that a driver does not work at all.
const LEAST_STEPS: usize = 8;
