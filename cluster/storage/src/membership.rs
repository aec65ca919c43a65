//! Who is in the group, as this storage knows it, and how a tracker's list changes that.

use fdfs_proto::Brief;
use fdfs_types::{StorageId, StorageStatus};

/// The members of the group, in the order of their discovery.
#[derive(Debug)]
pub(crate) struct Membership {
    me: StorageId,
    members: Vec<Brief>,
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
        Self { me, members: Vec::new() }
    }

    /// Takes over what a tracker's list says, except where we know better.
    pub(crate) fn merge(&mut self, list: &[Brief]) -> Merged {
        let mut merged = Merged::default();
        for theirs in list {
            let Some(id) = theirs.id else { continue };
            let is_gone = matches!(theirs.status, StorageStatus::Deleted | StorageStatus::IpChanged);
            let Some(ours) = self.members.iter_mut().find(|member| member.id == Some(id)) else {
                if !is_gone && self.members.len() < MAX_MEMBERS {
                    self.members.push(theirs.clone());
                }
                continue;
            };
            match verdict(ours.status, theirs.status) {
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
        merged
    }

    /// Takes the state that a tracker gave this storage when it joined; returns the one before.
    pub(crate) fn joined(&mut self, status: StorageStatus) -> Option<StorageStatus> {
        let me = self.me;
        let member = self.members.iter_mut().find(|member| member.id == Some(me))?;
        Some(std::mem::replace(&mut member.status, status))
    }

    /// The state of this storage; `None` until a tracker's list has told it.
    pub(crate) fn my_status(&self) -> Option<StorageStatus> {
        self.members.iter().find(|member| member.id == Some(self.me)).map(|member| member.status)
    }

    /// The other members that wait for the files from before they came, or are receiving them.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = StorageId> {
        let waits =
            |member: &&Brief| matches!(member.status, StorageStatus::WaitSync | StorageStatus::Syncing);
        self.members.iter().filter(waits).filter_map(|member| member.id).filter(|id| *id != self.me)
    }

    /// Every member that is known.
    pub(crate) fn members(&self) -> &[Brief] {
        &self.members
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn brief(id: &str, status: StorageStatus) -> Brief {
        Brief { status, port: 23000, id: Some(id.parse().expect("id")), ip: id.parse().ok() }
    }

    fn membership(list: &[Brief]) -> Membership {
        let mut membership = Membership::new("10.0.0.1".parse().expect("id"));
        assert_eq!(membership.merge(list), Merged::default());
        membership
    }

    #[test]
    fn an_unknown_member_is_added_unless_it_is_gone() {
        let list = [
            brief("10.0.0.1", StorageStatus::Active),
            brief("10.0.0.2", StorageStatus::WaitSync),
            brief("10.0.0.3", StorageStatus::Deleted),
            brief("10.0.0.4", StorageStatus::IpChanged),
        ];
        let membership = membership(&list);
        assert_eq!(membership.members(), &list[..2]);
        assert_eq!(membership.my_status(), Some(StorageStatus::Active));
        assert_eq!(membership.waiting().collect::<Vec<_>>(), [list[1].id.expect("id")]);
    }

    #[test]
    fn what_the_tracker_says_is_taken_or_corrected_as_the_states_demand() {
        use StorageStatus::{
            Active, Deleted, Init, IpChanged, None, Offline, Online, Recovery, Syncing, WaitSync,
        };
        for (ours, theirs, taken) in [
            (Active, Offline, true),
            (Online, Offline, true),
            (Init, Offline, true),
            (WaitSync, Offline, false),
            (Syncing, Offline, false),
            (Recovery, Offline, false),
            (Offline, WaitSync, true),
            (Offline, Active, true),
            (Active, WaitSync, false),
            (Active, Syncing, false),
            (Syncing, WaitSync, false),
            (WaitSync, Syncing, true),
            (Active, Deleted, true),
            (None, Active, true),
            (None, Deleted, false),
            (None, IpChanged, false),
        ] {
            let first = [brief("10.0.0.2", ours)];
            let mut membership = membership(&first);
            let merged = membership.merge(&[brief("10.0.0.2", theirs)]);
            let status = if taken { theirs } else { ours };
            assert_eq!(membership.members()[0].status, status, "{ours} {theirs}");
            let is_told = !taken && ours != None;
            assert_eq!(merged.tell, if is_told { &first[..] } else { &[] }, "{ours} {theirs}");
            assert!(!merged.rejoin);
        }
    }

    #[test]
    fn a_member_that_the_tracker_does_not_list_is_told() {
        let list = [brief("10.0.0.1", StorageStatus::Active), brief("10.0.0.2", StorageStatus::Active)];
        let mut membership = membership(&list);
        assert_eq!(membership.merge(&list[..1]).tell, &list[1..]);
    }

    #[test]
    fn a_tracker_that_is_behind_about_myself_is_joined_again() {
        let mut membership = membership(&[brief("10.0.0.1", StorageStatus::Active)]);
        let merged = membership.merge(&[brief("10.0.0.1", StorageStatus::WaitSync)]);
        assert!(merged.rejoin);
        assert_eq!(membership.my_status(), Some(StorageStatus::Active));
    }
}
