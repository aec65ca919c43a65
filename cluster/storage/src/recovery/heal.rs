//! Healing a damaged file from whichever member has a sound copy.

use std::sync::Arc;

use fdfs_net::{Pool, PoolConfig};
use fdfs_store::{Healed, Healing, Suspect};
use tracing::info;

use super::{
    fetch::{Fetcher, NotGiven},
    members::{Listing, Member},
};
use crate::{shared::Shared, tracker::Chain};

/// Heals damaged files.
#[derive(Clone, Debug)]
pub(crate) struct Healer(Fetcher);

/// What became of a damaged file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// It is sound.
    Healed,
    /// Meanwhile it was deleted, or is another.
    Changed,
    /// It is as it was: why.
    Left(String),
}

impl Healer {
    pub(crate) fn new(shared: &Arc<Shared>, config: PoolConfig) -> Self {
        Self(Fetcher { shared: Arc::clone(shared), pool: Pool::new(config) })
    }

    /// Puts a sound copy in the place of a damaged file, from the first member that has one.
    pub(crate) async fn heal(&self, suspect: &Suspect) -> Outcome {
        if suspect.size() == 0 {
            return self.heal_empty(suspect).await;
        }
        let listing = match Listing::get(&self.0.shared).await {
            Ok(listing) => listing,
            Err(error) => return Outcome::Left(format!("the trackers cannot be asked: {}", Chain(&error))),
        };
        let path = suspect.name.store_path();
        let serving = listing.serving(path);
        let mut reasons = Vec::new();
        for member in &serving {
            match self.from(member, suspect).await {
                Ok(Healed::Done) => {
                    info!(file_id = %suspect.name, storage_id = %member.id, "a damaged file is healed");
                    return Outcome::Healed;
                }
                Ok(Healed::Changed) => return Outcome::Changed,
                Ok(Healed::Unsound) => reasons.push(format!("{} has another content", member.id)),
                Err(NotGiven::Missing) => reasons.push(format!("{} does not have it", member.id)),
                Err(NotGiven::Unusable(why)) => reasons.push(format!("{}: {why}", member.id)),
                Err(NotGiven::Unreachable(error)) => {
                    reasons.push(format!("{} cannot be reached: {}", member.id, Chain(&error)));
                }
                Err(NotGiven::Local(error)) => {
                    return Outcome::Left(format!("a sound copy cannot be kept here: {error}"));
                }
            }
        }
        let silent = listing.others(path).filter(|other| serving.iter().all(|member| member.id != other.id));
        reasons.extend(silent.map(|other| format!("{} is {}", other.id, other.status)));
        if reasons.is_empty() {
            reasons.push(String::from("there is no other member"));
        }
        Outcome::Left(reasons.join("; "))
    }

    /// What an empty file holds is known.
    async fn heal_empty(&self, suspect: &Suspect) -> Outcome {
        let healed = match self.0.shared.store.heal(suspect) {
            Ok(healing) => finish(healing).await,
            Err(error) => Err(NotGiven::Local(error)),
        };
        match healed {
            Ok(Healed::Done) => Outcome::Healed,
            Ok(Healed::Changed) => Outcome::Changed,
            Ok(Healed::Unsound) => Outcome::Left(String::from("its name does not tell of an empty file")),
            Err(NotGiven::Local(error)) => Outcome::Left(error.to_string()),
            Err(_) => Outcome::Left(String::from("work on the disk did not end")),
        }
    }

    async fn from(&self, member: &Member, suspect: &Suspect) -> Result<Healed, NotGiven> {
        let Some((mut lease, length)) = self.0.download(member, &suspect.name).await? else {
            return Ok(Healed::Unsound);
        };
        if length != suspect.size() {
            return Err(NotGiven::Unusable(format!("it has {length} bytes there")));
        }
        let mut healing = self.0.shared.store.heal(suspect).map_err(NotGiven::Local)?;
        while let Some(chunk) = lease.next_chunk().await? {
            healing.write(chunk).map_err(NotGiven::Local)?;
        }
        finish(healing).await
    }
}

/// Puts a copy in place where waiting for the disk blocks nobody.
async fn finish(healing: Healing) -> Result<Healed, NotGiven> {
    match tokio::task::spawn_blocking(move || healing.finish()).await {
        Ok(result) => result.map_err(NotGiven::Local),
        Err(error) => Err(NotGiven::Unusable(format!("work on the disk did not end: {error}"))),
    }
}
