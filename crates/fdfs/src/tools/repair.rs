//! `fdfs repair`.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use fdfs_client::{Client, ClientError, Group};
use fdfs_proto::Status;
use fdfs_proto::ours::{DamagedFile, DeadLetter, DeadLettersResponse, ScrubAction, ScrubResponse};
use fdfs_types::{GroupName, Timestamp};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::cluster::ClusterArgs;
use super::output::Output;
use super::words;

/// What to repair.
#[derive(Args)]
pub struct RepairArgs {
    /// Only these groups; may be repeated.
    #[arg(short, long)]
    group: Vec<GroupName>,
    /// Only show what is left, and try nothing.
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Have storages begin to search all of their files for damage, at their `scrub_rate`.
    #[arg(short, long)]
    search: bool,
    /// Wait so many seconds for the outcome.
    #[arg(short, long, default_value_t = 30)]
    wait: u64,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

impl RepairArgs {
    pub async fn run(&self, output: &mut Output) -> anyhow::Result<()> {
        let client = self.cluster.client()?;
        let topology = client.topology().await?;
        for name in &self.group {
            if !topology.groups.contains_key(name) {
                output.fail(Some(name.as_str()), &ClientError::NotFound.into());
            }
        }
        for group in topology.groups.values() {
            let name = group.record.group;
            if !self.group.is_empty() && !self.group.contains(&name) {
                continue;
            }
            for storage in &group.storages {
                let Some(address) = Group::address(storage) else { continue };
                match self.repair(&client, address, name).await {
                    Ok((before, left)) => show(output, name, address, before, &left),
                    // The original keeps no such list.
                    Err(ClientError::Unsupported { .. }) => {}
                    Err(error) => output.fail(Some(&address.to_string()), &error.into()),
                }
                match self.heal(&client, address, name).await {
                    Ok((before, left)) => show_damaged(output, name, address, before, &left),
                    // The original does not look for damage.
                    Err(ClientError::Unsupported { .. }) => {}
                    Err(error) => output.fail(Some(&address.to_string()), &error.into()),
                }
            }
        }
        Ok(())
    }

    /// How many damaged files there were, and what is left.
    async fn heal(
        &self,
        client: &Client,
        address: SocketAddr,
        group: GroupName,
    ) -> Result<(u32, ScrubResponse), ClientError> {
        let action = match (self.dry_run, self.search) {
            (true, _) => ScrubAction::Tell,
            (false, true) => ScrubAction::Search,
            (false, false) => ScrubAction::TryAgain,
        };
        let first = client.scrub(address, group, action).await?;
        let mut left = first.clone();
        let until = Instant::now() + Duration::from_secs(self.wait);
        // Each is tried once: then it is gone, or has one try more.
        let is_as_before = |file: &DamagedFile| first.files_left.contains(file);
        while action == ScrubAction::TryAgain
            && left.files_left.iter().any(is_as_before)
            && Instant::now() < until
        {
            sleep(LOOK_AGAIN).await;
            left = client.scrub(address, group, ScrubAction::Tell).await?;
        }
        Ok((first.left, left))
    }

    /// How many there were, and what is left.
    async fn repair(
        &self,
        client: &Client,
        address: SocketAddr,
        group: GroupName,
    ) -> Result<(u32, DeadLettersResponse), ClientError> {
        let first = client.dead_letters(address, group, !self.dry_run).await?;
        let before = first.total;
        let mut left = first.clone();
        let until = Instant::now() + Duration::from_secs(self.wait);
        // Each is tried once: then it is gone, or has one try more.
        let is_as_before = |letter: &DeadLetter| first.letters.contains(letter);
        while !self.dry_run && left.letters.iter().any(is_as_before) && Instant::now() < until {
            sleep(LOOK_AGAIN).await;
            left = client.dead_letters(address, group, false).await?;
        }
        Ok((before, left))
    }
}

fn show(output: &mut Output, group: GroupName, address: SocketAddr, before: u32, left: &DeadLettersResponse) {
    if before == 0 && left.total == 0 {
        return;
    }
    let mut lines =
        vec![format!("{group} {address}: {before} changes were not taken, {} are left", left.total)];
    lines.extend(left.letters.iter().map(|letter| format!("  {}", line(letter))));
    let letters: Vec<_> = left
        .letters
        .iter()
        .map(|letter| {
            json!({
                "member": letter.member.as_str(), "record": letter.record, "tries": letter.tries,
                "tried": letter.tried.0, "status": letter.status,
            })
        })
        .collect();
    let object = json!({
        "group": group.as_str(), "storage": address.to_string(), "before": before, "left": left.total,
        "changes": letters,
    });
    output.result(lines.join("\n"), &object);
    if left.total > 0 {
        output.fail(Some(&address.to_string()), &anyhow!("{} changes are left", left.total));
    }
}

/// Files that are damaged and could not be healed.
fn show_damaged(
    output: &mut Output,
    group: GroupName,
    address: SocketAddr,
    before: u32,
    left: &ScrubResponse,
) {
    if before == 0 && left.left == 0 {
        return;
    }
    let mut lines =
        vec![format!("{group} {address}: {before} damaged files were not healed, {} are left", left.left)];
    lines.extend(left.files_left.iter().map(|file| {
        let DamagedFile { found, tries, filename, why, .. } = file;
        format!("  {filename}: {why}; found {}, tried {tries} times", words::time(*found))
    }));
    let files: Vec<_> = left
        .files_left
        .iter()
        .map(|file| {
            json!({
                "file": file.filename.as_str(), "why": file.why, "tries": file.tries, "found": file.found.0,
                "tried": file.tried.0,
            })
        })
        .collect();
    let object = json!({
        "group": group.as_str(), "storage": address.to_string(), "damaged_before": before,
        "damaged_left": left.left, "damaged": files,
    });
    output.result(lines.join("\n"), &object);
    if left.left > 0 {
        let error = anyhow!(
            "{} damaged files are left: bring a member with sound copies back, restore them from a backup or delete them, \
             then repair again",
            left.left
        );
        output.fail(Some(&address.to_string()), &error);
    }
}

/// One change, as a person reads it.
fn line(letter: &DeadLetter) -> String {
    let why = match letter.status {
        0 => "the file cannot be read here, or the target of a link is missing there",
        status => Status(status).meaning(),
    };
    let DeadLetter { member, tried, tries, record, .. } = letter;
    let (file, changed) = parts(record).unwrap_or_else(|| (record.clone(), String::new()));
    format!("{file}{changed} for {member}: {why}; tried {tries} times again, last {}", words::time(*tried))
}

/// The file of a record, and when it was changed.
fn parts(record: &str) -> Option<(String, String)> {
    let (time, rest) = record.split_once(' ')?;
    let (_letter, name) = rest.split_once(' ')?;
    let time: i64 = time.parse().ok()?;
    Some((name.to_owned(), format!(", changed {}", words::time(Timestamp(time)))))
}

const LOOK_AGAIN: Duration = Duration::from_millis(500);
