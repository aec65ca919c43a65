//! Who is in the group, as this storage knows it, and how a tracker's list changes that.

use std::sync::Arc;

use fdfs_proto::Brief;
use fdfs_types::{StorageId, StorageStatus};
use tokio::sync::watch;

/// The members of the group, in the order of their discovery.
///
/// What others of this storage go by is [`Membership::watch`]: it shows every change, whoever made it.
#[derive(Debug)]
pub(crate) struct Membership {
    me: StorageId,
    members: Vec<Brief>,
    /// The state that a tracker told last, in an answer to a JOIN: followers send no lists.
    told: Option<StorageStatus>,
    seen: watch::Sender<Members>,
}

/// The group at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members {
    /// Every member that was ever listed, this storage among them, in the order of their discovery. Who has left stays,
    /// with the state that says so.
    pub(crate) all: Arc<[Brief]>,
    /// Members that have left or moved, as the trackers' changelog tells; the latest last.
    pub(crate) gone: Arc<[Gone]>,
}

/// A member has left the group, or goes by another name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Gone {
    /// The ID that is gone.
    pub(crate) old: StorageId,
    /// The one in its place; none if the member was removed.
    pub(crate) new: Option<StorageId>,
}

impl Members {
    /// The member of this ID.
    pub(crate) fn get(&self, id: &StorageId) -> Option<&Brief> {
        self.all.iter().find(|member| member.id.as_ref() == Some(id))
    }

    /// What became of a member that has left or moved; `None` while the changelog has not told.
    pub(crate) fn what_became_of(&self, id: &StorageId) -> Option<Gone> {
        self.gone.iter().rev().find(|gone| gone.old == *id).copied()
    }
}

/// What has to be done about a tracker's list.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Merged {
    /// Entries of which we know better than the tracker.
    pub(crate) tell: Vec<Brief>,
    /// The tracker is behind about this storage itself: join again.
    pub(crate) rejoin: bool,
}

impl Membership {
    /// Only this storage, whose state no tracker has told yet.
    pub(crate) fn new(me: StorageId) -> Self {
        Self { me, members: Vec::new(), told: None, seen: watch::Sender::default() }
    }

    /// Shows the group now and at every change from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<Members> {
        self.seen.subscribe()
    }

    /// Takes over what a tracker's list says, except where we know better than a tracker that does not lead.
    pub(crate) fn merge(&mut self, list: &[Brief], is_leaders: bool) -> Merged {
        let mut merged = Merged::default();
        for theirs in list {
            let Some(id) = theirs.id else { continue };
            let is_gone = matches!(theirs.status, StorageStatus::Deleted | StorageStatus::IpChanged);
            let Some(ours) = self.members.iter_mut().find(|member| member.id == Some(id)) else {
                if !is_gone && self.make_room() {
                    self.members.push(theirs.clone());
                }
                continue;
            };
            let mut verdict = verdict(ours.status, theirs.status);
            let served = ours.status >= StorageStatus::Online;
            if matches!(verdict, Verdict::Tell) && is_leaders && served && id != self.me {
                // It has lost its disk and come back before anybody missed it: it begins anew.
                verdict = Verdict::Take;
            }
            match verdict {
                Verdict::Take => *ours = theirs.clone(),
                Verdict::Keep => {}
                Verdict::Tell => {
                    merged.tell.push(ours.clone());
                    merged.rejoin |= id == self.me && theirs.status < StorageStatus::Deleted;
                }
            }
        }
        let is_listed = |member: &&Brief| list.iter().any(|theirs| theirs.id == member.id);
        merged.tell.extend(self.members.iter().filter(|member| !is_listed(member)).cloned());
        self.publish();
        merged
    }

    /// Makes room for one more member: whoever has left first gives way. Whether there is room.
    fn make_room(&mut self) -> bool {
        use StorageStatus::{Deleted, IpChanged, None};
        if self.members.len() >= MAX_MEMBERS {
            let has_left = |member: &Brief| matches!(member.status, Deleted | IpChanged | None);
            let Some(first) = self.members.iter().position(has_left) else { return false };
            self.members.remove(first);
        }
        true
    }

    /// Takes the state that a tracker gave this storage when it joined, unless it is a follower that is behind the leader's
    /// list: then that is the state, and returned, so that the follower is told.
    pub(crate) fn joined(&mut self, status: StorageStatus, is_leader: bool) -> Option<StorageStatus> {
        self.told = Some(status);
        let behind = self.my_status().filter(|listed| !is_leader && contradicts(*listed, status));
        if behind.is_none() {
            let me = self.me;
            self.set_status(&me, status);
        }
        behind
    }

    /// Takes note of the state of a member that this storage has found out or decided itself; returns the one before.
    /// [`StorageStatus::None`] says that nothing is sent to a member that has left.
    pub(crate) fn set_status(&mut self, id: &StorageId, status: StorageStatus) -> Option<StorageStatus> {
        let member = self.members.iter_mut().find(|member| member.id.as_ref() == Some(id))?;
        let before = std::mem::replace(&mut member.status, status);
        self.publish();
        Some(before)
    }

    /// Whether a member has left or moved, and the changelog has not told yet what became of it.
    pub(crate) fn wants_changelog(&self) -> bool {
        let seen = self.seen.borrow();
        let has_left =
            |member: &&Brief| matches!(member.status, StorageStatus::Deleted | StorageStatus::IpChanged);
        self.members
            .iter()
            .filter(has_left)
            .filter_map(|member| member.id)
            .any(|id| seen.what_became_of(&id).is_none())
    }

    /// The changelog tells that a member has left or moved.
    pub(crate) fn gone(&mut self, gone: Gone) {
        self.seen.send_if_modified(|members| {
            if members.what_became_of(&gone.old) == Some(gone) {
                return false;
            }
            let skipped = (members.gone.len() + 1).saturating_sub(MAX_GONE);
            members.gone = members.gone.iter().skip(skipped).copied().chain([gone]).collect();
            true
        });
    }

    /// The state of this storage; `None` until a tracker's list has told it.
    pub(crate) fn my_status(&self) -> Option<StorageStatus> {
        self.members.iter().find(|member| member.id == Some(self.me)).map(|member| member.status)
    }

    /// The state of this storage as any tracker has told it last: what another is told that does not know this storage, and
    /// would refuse it otherwise.
    pub(crate) fn last_heard(&self) -> Option<StorageStatus> {
        self.my_status().or(self.told)
    }

    /// Whether this storage is kept from serving until a tracker hears of it next, or may be.
    pub(crate) fn waits_to_serve(&self) -> bool {
        use StorageStatus::{Init, Offline, Online, Syncing, WaitSync};
        matches!(self.last_heard(), Some(Init | WaitSync | Syncing | Offline | Online))
    }

    /// Whether this storage serves; if not, why, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.my_status() {
            Some(StorageStatus::Active) => Ok(()),
            Some(status) => Err(format!("{status}: {}", in_words(status))),
            None => Err(String::from("no tracker has told the state of this storage yet")),
        }
    }

    /// Whether a storage is another member of the group.
    pub(crate) fn has_other(&self, id: &StorageId) -> bool {
        *id != self.me && self.members.iter().any(|member| member.id.as_ref() == Some(id))
    }

    /// Every member that is known.
    pub(crate) fn members(&self) -> &[Brief] {
        &self.members
    }

    fn publish(&self) {
        self.seen.send_if_modified(|seen| {
            let is_new = *seen.all != *self.members;
            if is_new {
                seen.all = self.members.as_slice().into();
            }
            is_new
        });
    }
}

/// What a state means for the storage that has it.
pub(crate) fn in_words(status: StorageStatus) -> &'static str {
    match status {
        StorageStatus::Init => {
            "this storage is new, and the trackers know nobody who could send it the old files now"
        }
        StorageStatus::WaitSync => "this storage waits until its source begins to send the old files",
        StorageStatus::Syncing => "this storage is being sent the old files by its source",
        StorageStatus::IpChanged => "this storage goes by another address now",
        StorageStatus::Deleted => {
            "this storage was removed from its group; started again, it joins as a member without old files"
        }
        StorageStatus::Offline => "the trackers have not heard this storage lately",
        StorageStatus::Online => "this storage has joined and serves from its next beat on",
        StorageStatus::Active => "this storage serves",
        StorageStatus::Recovery => "this storage fills a wiped store path from the other members",
        StorageStatus::None => "nobody knows the state of this storage",
    }
}

/// Whether a follower has to hear what the leader's list says. Neither a state that a JOIN ends, nor another one between
/// coming and serving, is a contradiction.
fn contradicts(listed: StorageStatus, given: StorageStatus) -> bool {
    use StorageStatus::{Active, Init, Offline, Online, Syncing, WaitSync};
    let is_available = |status| matches!(status, Offline | Online | Active);
    let lasts = matches!(listed, Init | WaitSync | Syncing | Offline | Online | Active);
    lasts && listed != given && !(is_available(listed) && is_available(given))
}

enum Verdict {
    Take,
    Keep,
    Tell,
}

fn verdict(ours: StorageStatus, theirs: StorageStatus) -> Verdict {
    use StorageStatus::{Active, Deleted, Init, IpChanged, None, Offline, Online, Syncing, WaitSync};
    match (ours, theirs) {
        (ours, theirs) if ours == theirs => Verdict::Take,
        (None, Deleted | IpChanged) => Verdict::Keep,
        (None | Offline, _) | (Active | Online | Init, Offline) => Verdict::Take,
        (_, Offline) => Verdict::Tell,
        (ours, theirs @ (WaitSync | Syncing)) if ours > theirs => Verdict::Tell,
        _ => Verdict::Take,
    }
}

/// Most members of a group.
const MAX_MEMBERS: usize = 32;

/// So many members that have left are remembered.
const MAX_GONE: usize = 256;

#[cfg(test)]
mod tests;
