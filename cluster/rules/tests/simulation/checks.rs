//! What holds after every step, and what holds at last.

use std::collections::BTreeMap;

use fdfs_types::StorageStatus;

use crate::message::Node;
use crate::storage::{self, PER_GROUP, TRACKERS};
use crate::world::World;

/// The states of all storages at one tracker.
type States = BTreeMap<(usize, usize), StorageStatus>;

#[derive(Default)]
pub(crate) struct Checks {
    states: [(u32, u32, States); TRACKERS],
    checked: usize,
}

impl Checks {
    pub(crate) fn after_step(&mut self, world: &World) -> Result<(), String> {
        at_most_one_leader_has_a_majority(world)?;
        for node in 0..TRACKERS {
            self.states_go_along_allowed_edges(world, node)?;
        }
        self.no_acknowledged_file_is_unknown_to_its_group(world)
    }

    fn states_go_along_allowed_edges(&mut self, world: &World, node: Node) -> Result<(), String> {
        let tracker = &world.trackers[node];
        let (incarnation, reloads, before) = &mut self.states[node];
        let groups = tracker.cluster.groups();
        let mut changed = Vec::new();
        for (group, record) in groups.iter().enumerate() {
            for storage in record.in_order_of_creation() {
                let key = (group, storage::node_of(&storage.id));
                match before.insert(key, storage.status) {
                    Some(was) if was != storage.status => changed.push((key.1, was, storage.status)),
                    _ => {}
                }
            }
        }
        // Files that were loaded may tell another story than what was lost.
        let reloaded = (*incarnation, *reloads) != (tracker.incarnation, tracker.reloads());
        (*incarnation, *reloads) = (tracker.incarnation, tracker.reloads());
        for (storage, was, now) in changed {
            // The leader's word counts, but nobody serves by it.
            let corrected = world.corrected == Some(node)
                && !matches!(now, StorageStatus::Online | StorageStatus::Active);
            if !reloaded && !corrected && !is_allowed(was, now) {
                return Err(format!("storage {storage} went from {was} to {now} at tracker {node}"));
            }
        }
        Ok(())
    }

    /// What was acknowledged stays on a disk of its group, whoever crashes.
    fn no_acknowledged_file_is_unknown_to_its_group(&mut self, world: &World) -> Result<(), String> {
        let every = world.acknowledged.len().max(1);
        // One after the other, all again and again: files never leave a disk otherwise unnoticed.
        let Some(file) = world.acknowledged.get(self.checked % every) else { return Ok(()) };
        self.checked += 1;
        let members = members_of(file.source);
        if members.clone().any(|node| world.stores[node - TRACKERS].files.contains(file)) {
            return Ok(());
        }
        Err(format!("{file:?} is on no disk of its group"))
    }

    /// After the faults everything comes to rest: one leader for all, every storage serves, and all
    /// members of a group have all of its files.
    pub(crate) fn at_the_end(&self, world: &World) -> Result<(), String> {
        let leaders: Vec<_> =
            world.trackers.iter().map(|tracker| tracker.leadership.leader().copied()).collect();
        if leaders.iter().any(|leader| leader.is_none() || *leader != leaders[0]) {
            return Err(format!("trackers do not agree on a leader: {leaders:?}"));
        }
        if world.trackers.iter().filter(|tracker| tracker.leadership.is_leading()).count() != 1 {
            return Err("not one tracker leads".into());
        }
        for tracker in &world.trackers {
            for store in &world.stores {
                let found = tracker.cluster.storage(&storage::group(store.node), &storage::id(store.node));
                if found.map(|found| found.status) != Ok(StorageStatus::Active) {
                    return Err(format!("storage {} does not serve at tracker {}", store.node, tracker.node));
                }
            }
        }
        for file in &world.acknowledged {
            for node in members_of(file.source) {
                if !world.stores[node - TRACKERS].files.contains(file) {
                    return Err(format!("storage {node} lacks {file:?}"));
                }
            }
        }
        Ok(())
    }
}

fn members_of(storage: Node) -> std::ops::Range<Node> {
    let first = storage - (storage - TRACKERS) % PER_GROUP;
    first..first + PER_GROUP
}

/// A leader counts if it leads by its own account and a majority of the living follows it.
fn at_most_one_leader_has_a_majority(world: &World) -> Result<(), String> {
    let living = || world.trackers.iter().filter(|tracker| world.alive[tracker.node]);
    let leaders = living().filter(|tracker| tracker.leadership.is_leading());
    let acknowledged = leaders.filter(|leader| {
        let own = leader.leadership.leader();
        2 * living().filter(|tracker| tracker.leadership.leader() == own).count() > living().count()
    });
    let count = acknowledged.count();
    if count > 1 {
        return Err(format!("{count} leaders are acknowledged by a majority"));
    }
    for tracker in living() {
        if tracker.cluster.is_leading() != tracker.leadership.is_leading() {
            return Err(format!("tracker {} does not know whether it leads", tracker.node));
        }
    }
    let leading = living().filter(|tracker| tracker.leadership.is_leading()).count();
    if world.is_calm() && leading != 1 {
        return Err(format!("{leading} trackers lead although nothing is in the way"));
    }
    Ok(())
}

/// The life of a storage as the specification draws it.
fn is_allowed(from: StorageStatus, to: StorageStatus) -> bool {
    use StorageStatus::{Active, Deleted, Init, IpChanged, Offline, Online, Recovery, Syncing, WaitSync};
    matches!(
        (from, to),
        // A source is found, or none is needed.
        (Init, WaitSync | Online)
            // The source pushes, and is done. What is heard late comes in one step.
            | (WaitSync, Syncing | Offline | Recovery | Online)
            | (Syncing, Offline | Recovery | Online | WaitSync)
            // It joins, reports, is silent.
            | (Offline | Recovery, Online | Active)
            | (Online, Active | Offline | WaitSync)
            | (Active, Offline)
            | (Offline, Recovery)
            // A member that asks for a source has lost its files, and starts over.
            | (Offline | Active | Recovery, WaitSync)
            // An administrator.
            | (Init | WaitSync | Syncing | Offline, Deleted | IpChanged)
            | (Deleted | IpChanged, Init | Offline)
    )
}
