//! What is in the cache, and who was not asked for longest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use bytes::Bytes;
use fdfs_types::{FileId, Timestamp};
use lru::LruCache;
use parking_lot::Mutex;

use super::{Cache, Object};
use crate::front::Identity;

/// One part of a content in a file.
#[derive(Debug)]
pub(in crate::front) struct Slice {
    pub(super) index: u32,
    pub(super) length: u32,
    pub(super) crc32: u32,
    pub(super) number: String,
    /// Whether the file's bytes are known to be those that were written.
    pub(super) checked: AtomicBool,
}

/// Files that are to be removed.
pub(super) type Dropped = Vec<(FileId, Arc<Slice>)>;

/// All contents with their parts, the one that was asked for last first.
#[derive(Debug)]
pub(super) struct Index {
    objects: LruCache<FileId, Entry>,
    /// Small parts, by the number of their content and their index.
    small: LruCache<(u64, u32), Bytes>,
    small_bytes: u64,
    small_limit: u64,
    bytes: u64,
    next_number: u64,
}

#[derive(Debug)]
struct Entry {
    object: Arc<Object>,
    slices: BTreeMap<u32, Arc<Slice>>,
    used: Timestamp,
}

impl Slice {
    pub(super) fn new(index: u32, length: u32, crc32: u32, number: String, checked: bool) -> Arc<Self> {
        Arc::new(Self { index, length, crc32, number, checked: AtomicBool::new(checked) })
    }
}

impl Index {
    /// Contents of which no part is kept count, too.
    const MOST_OBJECTS: usize = 1 << 20;

    pub(super) fn new(small_limit: u64) -> Self {
        let (objects, small) = (LruCache::unbounded(), LruCache::unbounded());
        Self { objects, small, small_bytes: 0, small_limit, bytes: 0, next_number: 0 }
    }

    /// The content under an ID, which counts as used.
    pub(super) fn object(&mut self, id: &FileId, now: Timestamp) -> Option<Arc<Object>> {
        let entry = self.objects.get_mut(id)?;
        entry.used = now;
        Some(Arc::clone(&entry.object))
    }

    /// Takes note of a content.
    pub(super) fn admit(
        &mut self,
        id: &FileId,
        identity: Identity,
        now: Timestamp,
    ) -> (Arc<Object>, Dropped) {
        let mut dropped = Vec::new();
        if let Some(entry) = self.objects.get_mut(id) {
            if entry.object.identity == identity {
                entry.object.validated.fetch_max(now.0, Ordering::Relaxed);
                entry.used = now;
                return (Arc::clone(&entry.object), dropped);
            }
            dropped = self.remove(id).unwrap_or_default();
        }
        while self.objects.len() >= Self::MOST_OBJECTS {
            dropped.extend(self.remove_oldest());
        }
        (self.add(id, identity, now, now), dropped)
    }

    /// Takes over a part that an earlier process left, in room that was taken for it; `false` where a better one is known.
    pub(super) fn restore(
        &mut self,
        id: &FileId,
        identity: Identity,
        slice: Arc<Slice>,
        stored: Timestamp,
        used: Timestamp,
    ) -> bool {
        let object = match self.objects.peek(id).map(|entry| Arc::clone(&entry.object)) {
            Some(object) => object,
            None => self.add(id, identity, stored, used),
        };
        object.validated.fetch_max(stored.0, Ordering::Relaxed);
        if object.identity != identity {
            self.give_back(cost(slice.length));
            return false;
        }
        self.insert(&object, slice, None).is_none()
    }

    fn add(&mut self, id: &FileId, identity: Identity, validated: Timestamp, used: Timestamp) -> Arc<Object> {
        self.next_number += 1;
        let (id, number, validated) = (id.clone(), self.next_number, AtomicI64::new(validated.0));
        let object = Arc::new(Object { id, identity, number, validated, found_crc32: Mutex::default() });
        let entry = Entry { object: Arc::clone(&object), slices: BTreeMap::new(), used };
        self.objects.put(object.id.clone(), entry);
        object
    }

    /// A part, with its bytes where they are in memory.
    pub(super) fn slice(&mut self, object: &Object, index: u32) -> Option<(Arc<Slice>, Option<Bytes>)> {
        let slice = Arc::clone(self.entry(object)?.slices.get(&index)?);
        Some((slice, self.small.get(&(object.number, index)).cloned()))
    }

    pub(super) fn has(&self, object: &Object, index: u32) -> bool {
        self.entry(object).is_some_and(|entry| entry.slices.contains_key(&index))
    }

    pub(super) fn is_current(&self, object: &Object) -> bool {
        self.entry(object).is_some()
    }

    /// Takes the room for a part of the content `filling`, which the parts that were not asked for longest leave, and
    /// whether it was found. What is taken is given back by [`Self::give_back`], or becomes a part by [`Self::insert`].
    pub(super) fn make_room(&mut self, limit: u64, wanted: u64, filling: u64) -> (Dropped, bool) {
        let mut dropped = Vec::new();
        if wanted > limit {
            return (dropped, false);
        }
        while self.bytes.saturating_add(wanted) > limit {
            let Some((id, entry)) = self.objects.peek_lru() else { return (dropped, false) };
            let (id, number) = (id.clone(), entry.object.number);
            // A content that is larger than the cache loses its first parts, not all.
            let first = self.objects.peek_mut(&id).and_then(|entry| entry.slices.pop_first());
            match first {
                Some((index, slice)) => {
                    self.bytes -= cost(slice.length);
                    self.forget_small(number, index);
                    dropped.push((id, slice));
                }
                None if number != filling => drop(self.objects.pop(&id)),
                // The rest of the room is being written to.
                None if self.objects.len() == 1 => return (dropped, false),
                None => {
                    self.objects.promote(&id);
                }
            }
        }
        self.bytes += wanted;
        (dropped, true)
    }

    /// Gives back room that was taken and not filled.
    pub(super) fn give_back(&mut self, room: u64) {
        self.bytes = self.bytes.saturating_sub(room);
    }

    /// Adds a part in the room that was taken for it; gives it back where its content is not wanted any more.
    pub(super) fn insert(
        &mut self,
        object: &Object,
        slice: Arc<Slice>,
        small: Option<Bytes>,
    ) -> Option<Arc<Slice>> {
        let entry = self.objects.peek_mut(&object.id).filter(|entry| entry.object.number == object.number);
        let Some(entry) = entry.filter(|entry| !entry.slices.contains_key(&slice.index)) else {
            self.give_back(cost(slice.length));
            return Some(slice);
        };
        let index = slice.index;
        entry.slices.insert(index, slice);
        if let Some(bytes) = small {
            self.remember(object, index, bytes);
        }
        None
    }

    /// Keeps the bytes of a small part in memory.
    pub(super) fn remember(&mut self, object: &Object, index: u32, bytes: Bytes) {
        if bytes.len() as u64 > self.small_limit || !self.has(object, index) {
            return;
        }
        self.small_bytes += bytes.len() as u64;
        if let Some(before) = self.small.put((object.number, index), bytes) {
            self.small_bytes -= before.len() as u64;
        }
        while self.small_bytes > self.small_limit {
            let Some((_, bytes)) = self.small.pop_lru() else { return };
            self.small_bytes -= bytes.len() as u64;
        }
    }

    /// Forgets a part whose file is not what it should be.
    pub(super) fn forget(&mut self, object: &Object, slice: &Arc<Slice>) {
        let entry = self.objects.peek_mut(&object.id).filter(|entry| entry.object.number == object.number);
        let Some(entry) = entry else { return };
        if entry.slices.get(&slice.index).is_some_and(|present| Arc::ptr_eq(present, slice)) {
            entry.slices.remove(&slice.index);
            self.bytes -= cost(slice.length);
            self.forget_small(object.number, slice.index);
        }
    }

    /// Removes a content; its parts, if there was one.
    pub(super) fn remove(&mut self, id: &FileId) -> Option<Dropped> {
        let entry = self.objects.pop(id)?;
        Some(self.dropped(id, entry))
    }

    /// Removes what was not used since `oldest`.
    pub(super) fn drop_unused(&mut self, oldest: Timestamp) -> Dropped {
        let mut dropped = Vec::new();
        while self.objects.peek_lru().is_some_and(|(_, entry)| entry.used < oldest) {
            dropped.extend(self.remove_oldest());
        }
        dropped
    }

    pub(super) fn ids(&self, matches: impl Fn(&FileId) -> bool) -> Vec<FileId> {
        self.objects.iter().map(|(id, _)| id).filter(|id| matches(id)).cloned().collect()
    }

    pub(super) fn usage(&self) -> (u64, usize) {
        (self.bytes, self.objects.len())
    }

    fn remove_oldest(&mut self) -> Dropped {
        self.objects.pop_lru().map(|(id, entry)| self.dropped(&id, entry)).unwrap_or_default()
    }

    fn dropped(&mut self, id: &FileId, entry: Entry) -> Dropped {
        let number = entry.object.number;
        for (index, slice) in &entry.slices {
            self.bytes -= cost(slice.length);
            self.forget_small(number, *index);
        }
        entry.slices.into_values().map(|slice| (id.clone(), slice)).collect()
    }

    fn forget_small(&mut self, number: u64, index: u32) {
        if let Some(bytes) = self.small.pop(&(number, index)) {
            self.small_bytes -= bytes.len() as u64;
        }
    }

    fn entry(&self, object: &Object) -> Option<&Entry> {
        self.objects.peek(&object.id).filter(|entry| entry.object.number == object.number)
    }
}

/// Bytes that a part takes on disk.
pub(super) fn cost(length: u32) -> u64 {
    (u64::from(length) + Cache::PAYLOAD_AT).next_multiple_of(BLOCK)
}

/// Disks give out room in blocks of this size.
const BLOCK: u64 = 4096;
