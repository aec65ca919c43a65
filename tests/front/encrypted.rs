//! The front over TLS, as curl speaks it.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use fdfs_tests::Deadline;

use crate::stage::{Stage, address_of};

#[test]
fn over_tls_the_front_speaks_http_2_and_http_1_as_the_client_chooses() -> Result<()> {
    let stage = Stage::start(&[("group1", 1)])?;
    let file = stage.store("group1", 300_000)?;
    let dir = tempfile::tempdir()?;
    let made = rcgen::generate_simple_self_signed(["front.test".to_owned()])?;
    let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    fs::write(&certificate, made.cert.pem())?;
    fs::write(&key, made.signing_key.serialize_pem())?;
    let lines = format!(
        "[front]\ntls_cert = '{}'\ntls_key = '{}'\ncache = '{}'\n",
        certificate.display(),
        key.display(),
        dir.path().join("cache").display()
    );
    let gateway = fdfs_tests::Gateway::start_with(&stage.cluster, None, &lines)?;
    let address = address_of(&gateway)?;
    Deadline::after(Duration::from_secs(60)).wait_for("the front", || TcpStream::connect((address, 8000)))?;
    for (option, version) in [("--http2", "2"), ("--http1.1", "1.1"), ("--http2", "2")] {
        let saved = dir.path().join("saved");
        let output = Command::new("curl")
            .args(["-sS", "-f", option, "--max-time", "60", "-w", "%{http_version}", "--cacert"])
            .arg(&certificate)
            .args(["--connect-to", &format!("front.test:443:{address}:8000"), "-o"])
            .arg(&saved)
            .arg(format!("https://front.test{}", file.path()))
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        ensure!(String::from_utf8_lossy(&output.stdout) == version, "{:?}", output.stdout);
        ensure!(fs::read(&saved)? == file.content);
    }
    Ok(())
}
