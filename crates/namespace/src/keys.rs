//! Keys of rows, one function for each family of FORMAT.md.

/// Where all buckets hang; it has no row of its own.
pub const ROOT: u64 = 1;

pub(crate) const STAMP: u8 = b'!';
pub(crate) const ACCESS_KEY: u8 = b'K';
pub(crate) const BUCKET: u8 = b'b';
pub(crate) const COMPLETED: u8 = b'Q';
pub(crate) const CHANGE: u8 = b'c';
pub(crate) const FREED: u8 = b'f';
pub(crate) const JOIN: u8 = b'j';
pub(crate) const LOCK: u8 = b'k';
pub(crate) const ORPHAN: u8 = b'o';
pub(crate) const PART: u8 = b'q';
pub(crate) const REVERSE: u8 = b'r';
pub(crate) const SESSION: u8 = b's';
pub(crate) const UPLOAD: u8 = b'u';

pub(crate) fn stamp() -> Vec<u8> {
    vec![STAMP]
}

pub(crate) fn lease(counter: &str) -> Vec<u8> {
    join(b'#', &[counter.as_bytes()])
}

pub(crate) fn bucket(name: &str) -> Vec<u8> {
    join(BUCKET, &[name.as_bytes()])
}

/// The setting `name` of the bucket whose topmost directory is `root`.
pub(crate) fn setting(root: u64, name: &str) -> Vec<u8> {
    join(b'B', &[&root.to_be_bytes(), name.as_bytes()])
}

pub(crate) fn settings(root: u64) -> Vec<u8> {
    number(b'B', root)
}

pub(crate) fn access_key(id: &str) -> Vec<u8> {
    join(ACCESS_KEY, &[id.as_bytes()])
}

pub(crate) fn inode(inode: u64) -> Vec<u8> {
    number(b'i', inode)
}

/// The entry `name` (with its slash, if it is a directory's) of `parent`.
pub(crate) fn entry(parent: u64, name: &[u8]) -> Vec<u8> {
    join(b'e', &[&parent.to_be_bytes(), name])
}

/// The length of an entry's key before its name.
pub(crate) const ENTRY_PREFIX: usize = 9;

/// A version of `name` that is not its entry; newer ones come first.
pub(crate) fn older(parent: u64, name: &[u8], sequence: u64) -> Vec<u8> {
    join(b'v', &[&parent.to_be_bytes(), name, &[0], &(!sequence).to_be_bytes()])
}

pub(crate) fn olders(parent: u64, name: &[u8]) -> Vec<u8> {
    join(b'v', &[&parent.to_be_bytes(), name, &[0]])
}

pub(crate) fn all_olders(parent: u64) -> Vec<u8> {
    number(b'v', parent)
}

pub(crate) fn link(inode: u64, parent: u64, name: &[u8]) -> Vec<u8> {
    join(b'l', &[&inode.to_be_bytes(), &parent.to_be_bytes(), name])
}

pub(crate) fn links(inode: u64) -> Vec<u8> {
    number(b'l', inode)
}

pub(crate) fn extents(inode: u64, block: u32) -> Vec<u8> {
    join(b'x', &[&inode.to_be_bytes(), &block.to_be_bytes()])
}

pub(crate) fn delta(inode: u64, slot: u32) -> Vec<u8> {
    join(b'd', &[&inode.to_be_bytes(), &slot.to_be_bytes()])
}

pub(crate) fn deltas(inode: u64) -> Vec<u8> {
    number(b'd', inode)
}

pub(crate) fn reverse(file: &str, inode: u64) -> Vec<u8> {
    join(REVERSE, &[file.as_bytes(), &[0], &inode.to_be_bytes()])
}

pub(crate) fn reverses(file: &str) -> Vec<u8> {
    join(REVERSE, &[file.as_bytes(), &[0]])
}

pub(crate) fn freed(time_ms: u64, file: &str) -> Vec<u8> {
    join(FREED, &[&time_ms.to_be_bytes(), file.as_bytes()])
}

pub(crate) fn orphan(inode: u64) -> Vec<u8> {
    number(ORPHAN, inode)
}

pub(crate) fn upload(root: u64, key: &[u8], upload_id: &[u8; 16]) -> Vec<u8> {
    join(UPLOAD, &[&root.to_be_bytes(), key, &[0], upload_id])
}

pub(crate) fn uploads(root: u64, key_prefix: &[u8]) -> Vec<u8> {
    join(UPLOAD, &[&root.to_be_bytes(), key_prefix])
}

pub(crate) fn part(upload_id: &[u8; 16], part_number: u16) -> Vec<u8> {
    join(PART, &[upload_id, &part_number.to_be_bytes()])
}

pub(crate) fn parts(upload_id: &[u8; 16]) -> Vec<u8> {
    join(PART, &[upload_id])
}

pub(crate) fn completed(upload_id: &[u8; 16]) -> Vec<u8> {
    join(COMPLETED, &[upload_id])
}

pub(crate) fn part_table(inode: u64) -> Vec<u8> {
    number(b'y', inode)
}

pub(crate) fn waiting_join(inode: u64) -> Vec<u8> {
    number(JOIN, inode)
}

pub(crate) fn session(session: u64) -> Vec<u8> {
    number(SESSION, session)
}

pub(crate) fn task(name: &str) -> Vec<u8> {
    join(b't', &[name.as_bytes()])
}

/// The locks that an owner of a session has on an inode.
pub(crate) fn lock(inode: u64, session: u64, owner: u64) -> Vec<u8> {
    join(LOCK, &[&inode.to_be_bytes(), &session.to_be_bytes(), &owner.to_be_bytes()])
}

pub(crate) fn locks(inode: u64) -> Vec<u8> {
    number(LOCK, inode)
}

pub(crate) fn change(writer: u64, sequence: u64) -> Vec<u8> {
    join(CHANGE, &[&writer.to_be_bytes(), &sequence.to_be_bytes()])
}

pub(crate) fn changes(writer: u64) -> Vec<u8> {
    number(CHANGE, writer)
}

/// Where the rows of the next writer begin, after the change row `key`: always beyond `key`.
pub(crate) fn after_writer(key: &[u8]) -> Vec<u8> {
    crate::engine::prefix_end(key.get(..CHANGE_WRITER).unwrap_or(key))
}

/// The length of a change's key before its sequence.
const CHANGE_WRITER: usize = 9;

/// The big-endian number at `at` of a key; 0 where the key is too short.
pub(crate) fn number_at(key: &[u8], at: usize) -> u64 {
    key.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes)
}

fn number(family: u8, number: u64) -> Vec<u8> {
    join(family, &[&number.to_be_bytes()])
}

fn join(family: u8, fields: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + fields.iter().map(|field| field.len()).sum::<usize>());
    key.push(family);
    fields.iter().for_each(|field| key.extend_from_slice(field));
    key
}
