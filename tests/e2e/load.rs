//! `fdfs bench` against the S3 API.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use fdfs_tests::{Site, fdfs_binary};

#[test]
fn the_load_generator_measures_each_operation_of_s3() -> Result<()> {
    let site = Site::start_without_mount()?;
    let address = site.s3().trim_start_matches("http://").to_owned();
    for operation in ["upload", "download", "info", "delete", "mixed", "list"] {
        let output = Command::new(fdfs_binary()?)
            .args(["bench", operation, "--s3", &address, "--bucket", "group1", "--credentials"])
            .arg(site.credentials())
            .args(["-c", "4", "-n", "40", "-d", "0.5", "-s", "300K", "--reading", "verify", "--json"])
            .output()?;
        let (told, said) = (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{operation}: {told} {said}");
        let told: serde_json::Value = serde_json::from_str(&told)?;
        let operations = told["operations"].as_u64().context("operations")?;
        ensure!(operations > 0 && told["errors"] == 0, "{operation}: {told}");
    }
    Ok(())
}
