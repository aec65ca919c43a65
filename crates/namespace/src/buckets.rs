//! Buckets: one for every group, and those that users make.

use fdfs_types::GroupName;

use crate::attributes::Kind;
use crate::changes::ChangeKind;
use crate::engine::{PAGE, Read};
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, BucketRow};
use crate::settings;
use crate::transaction::Transaction;
use crate::tree;
use crate::tree::versions::Versioning;

/// A bucket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// The inode of its topmost directory.
    pub root: u64,
    /// The group it belongs to: such a bucket shows the group's raw files and stays for ever.
    pub group: Option<GroupName>,
    /// Groups that new content may go to, in order; empty: the trackers' choice.
    pub placement: Vec<GroupName>,
    /// When it was made, nanoseconds since 1970.
    pub created: i64,
    /// Who made it.
    pub owner: String,
    /// Whether it keeps versions.
    pub versioning: Versioning,
    /// Whether its files are private: not to be read by whoever knows their IDs.
    pub native_read_off: bool,
}

/// What a new bucket is to be like.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NewBucket {
    /// Groups for its content; empty: the trackers' choice.
    pub placement: Vec<GroupName>,
    /// Who makes it.
    pub owner: String,
    /// Permission bits of its topmost directory; else the defaults.
    pub mode: Option<u32>,
    /// Owner and group of its topmost directory; else the defaults.
    pub inode_owner: Option<(u32, u32)>,
    /// Whether its files are to be private.
    pub native_read_off: bool,
}

/// The bucket called `name`.
pub(crate) fn get(read: &dyn Read, name: &str) -> Result<Bucket, NamespaceError> {
    let row: BucketRow = rows::load(read, &keys::bucket(name))?.ok_or(NamespaceError::NoSuchBucket)?;
    Bucket::of_row(row)
}

/// The bucket whose topmost directory is `root`.
pub(crate) fn of_root(read: &dyn Read, root: u64) -> Result<Bucket, NamespaceError> {
    let row = tree::inode(read, root)?;
    if row.parent != root {
        return Err(NamespaceError::NoSuchBucket);
    }
    let name = String::from_utf8(row.name).map_err(|_| NamespaceError::NoSuchBucket)?;
    get(read, &name)
}

/// Up to `limit` buckets after `after`, by name.
pub(crate) fn list(read: &dyn Read, after: &str, limit: usize) -> Result<Vec<Bucket>, NamespaceError> {
    let mut from = keys::bucket(after);
    if !after.is_empty() {
        from.push(0);
    }
    let rows = rows::scan(read, &[keys::BUCKET], &from, limit.min(PAGE))?;
    rows.iter().map(|(key, value)| Bucket::of_row(rows::unseal(key, value)?)).collect()
}

/// Makes a bucket.
pub(crate) fn create(
    tx: &mut Transaction<'_, '_>,
    name: &str,
    new: &NewBucket,
) -> Result<Bucket, NamespaceError> {
    if tx.get(&keys::bucket(name))?.is_some() {
        return Err(NamespaceError::BucketExists);
    }
    make(tx, name, None, new)
}

/// The bucket of a group: found, or made under the group's name, or under `group-NAME` where a user took that.
pub(crate) fn of_group(tx: &mut Transaction<'_, '_>, group: &GroupName) -> Result<Bucket, NamespaceError> {
    for name in [group.to_string(), format!("group-{group}")] {
        match get(tx, &name) {
            Ok(bucket) if bucket.group.as_ref() == Some(group) => return Ok(bucket),
            Ok(_) => {}
            Err(NamespaceError::NoSuchBucket) => {
                let new = NewBucket { placement: vec![*group], ..NewBucket::default() };
                return make(tx, &name, Some(group), &new);
            }
            Err(error) => return Err(error),
        }
    }
    Err(NamespaceError::BucketExists)
}

/// Removes an empty bucket that is no group's.
pub(crate) fn delete(tx: &mut Transaction<'_, '_>, name: &str) -> Result<(), NamespaceError> {
    let bucket = get(tx, name)?;
    if bucket.group.is_some() {
        return Err(NamespaceError::GroupBucket);
    }
    check_empty(tx, bucket.root)?;
    let mut row = tree::inode(tx, bucket.root)?;
    tree::purge(tx, bucket.root, &mut row)?;
    settings::purge(tx, bucket.root)?;
    tx.delete(&keys::bucket(name));
    tx.change(ChangeKind::BucketRemoved, bucket.root, 0, keys::ROOT, name.as_bytes());
    Ok(())
}

/// Refuses what only an empty bucket can have done to it.
fn check_empty(read: &dyn Read, root: u64) -> Result<(), NamespaceError> {
    if tree::versions::has_history(read, root)? {
        return Err(NamespaceError::BucketNotEmpty);
    }
    let uploads = keys::uploads(root, b"");
    match rows::scan(read, &uploads, &uploads, 1)?.is_empty() {
        true => Ok(()),
        false => Err(NamespaceError::UploadsOpen),
    }
}

/// Makes the files of an empty bucket private, or the further files of a bucket private no more.
pub(crate) fn set_native_read(
    tx: &mut Transaction<'_, '_>,
    name: &str,
    is_off: bool,
) -> Result<(), NamespaceError> {
    let key = keys::bucket(name);
    let row: BucketRow = rows::load(tx, &key)?.ok_or(NamespaceError::NoSuchBucket)?;
    if row.native_read_off == is_off {
        return Ok(());
    }
    let root = row.root;
    let mut inode = tree::inode(tx, root)?;
    if is_off {
        check_empty(tx, root)?;
    }
    inode.native_read_off = is_off;
    tree::save(tx, root, &mut inode);
    tx.put(key, &BucketRow { native_read_off: is_off, ..row });
    settings::changed(tx, root, "native_read");
    Ok(())
}

/// Begins or stops keeping versions. What was kept stays, so a bucket that kept some never goes back to keeping none.
pub(crate) fn set_versioning(
    tx: &mut Transaction<'_, '_>,
    name: &str,
    versioning: Versioning,
) -> Result<(), NamespaceError> {
    let key = keys::bucket(name);
    let row: BucketRow = rows::load(tx, &key)?.ok_or(NamespaceError::NoSuchBucket)?;
    if versioning == Versioning::Off && row.versioning != 0 {
        return Err(NamespaceError::InvalidName);
    }
    let root = row.root;
    let mut inode = tree::inode(tx, root)?;
    inode.versioning = versioning.number();
    tree::save(tx, root, &mut inode);
    tx.put(key, &BucketRow { versioning: versioning.number(), ..row });
    settings::changed(tx, root, "versioning");
    Ok(())
}

fn make(
    tx: &mut Transaction<'_, '_>,
    name: &str,
    group: Option<&GroupName>,
    new: &NewBucket,
) -> Result<Bucket, NamespaceError> {
    let fits =
        !name.is_empty() && name.len() <= MAX_NAME && !name.bytes().any(|byte| matches!(byte, 0 | b'/'));
    if !fits || name == "." || name == ".." {
        return Err(NamespaceError::InvalidName);
    }
    let root = tx.new_inode()?;
    let mut inode = tree::new_row(tx, root, Kind::Directory);
    (inode.parent, inode.name, inode.links) = (root, name.as_bytes().to_vec(), 1);
    inode.mode = new.mode.unwrap_or(inode.mode);
    (inode.uid, inode.gid) = new.inode_owner.unwrap_or((inode.uid, inode.gid));
    inode.native_read_off = new.native_read_off;
    tree::save(tx, root, &mut inode);
    let row = BucketRow {
        name: name.to_owned(),
        root,
        kind: u32::from(group.is_some()),
        group: group.map(GroupName::to_string).unwrap_or_default(),
        placement: new.placement.iter().map(GroupName::to_string).collect(),
        created: tx.now,
        owner: new.owner.clone(),
        native_read_off: new.native_read_off,
        ..BucketRow::default()
    };
    tx.put(keys::bucket(name), &row);
    tx.change(ChangeKind::BucketMade, root, inode.version, keys::ROOT, name.as_bytes());
    Bucket::of_row(row)
}

impl Bucket {
    pub(crate) fn of_row(row: BucketRow) -> Result<Self, NamespaceError> {
        let corrupt = |_| NamespaceError::Corrupt { family: 'b', what: "a group's name" };
        Ok(Self {
            name: row.name,
            root: row.root,
            group: (row.kind == 1).then(|| row.group.parse()).transpose().map_err(corrupt)?,
            placement: row
                .placement
                .iter()
                .map(|group| group.parse())
                .collect::<Result<_, _>>()
                .map_err(corrupt)?,
            created: row.created,
            owner: row.owner,
            versioning: Versioning::from_number(row.versioning),
            native_read_off: row.native_read_off,
        })
    }
}

/// Room for every name that S3 or a mount may ask for; S3's own rules are stricter and stand there.
const MAX_NAME: usize = 255;
