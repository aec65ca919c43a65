//! Check of a store: every row is readable, and rows that must agree do.
//!
//! It runs while the store is in use: what is compared is read in one snapshot, a page at a time. What can be repaired without a guess about content is
//! repaired in a transaction that looks again; nothing is ever deleted at a storage, but for files that a row of ours named and no inode uses.

mod faults;
mod repair;
mod uploads;

#[cfg(test)]
mod tests;

use fdfs_types::FileId;

use self::faults::Fault;
use crate::engine::{PAGE, Read, prefix_end};
use crate::error::NamespaceError;
use crate::keys;
use crate::namespace::Namespace;
use crate::uploads::WAITING;

/// Checks a namespace.
pub struct Checker {
    names: Namespace,
    repair: bool,
}

/// Something that is not as it must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// Bucket and key, or what else it is about.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// Whether it can be repaired.
    pub repairable: bool,
    /// Whether it was.
    pub repaired: bool,
}

/// A file that names or parts use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UsedFile {
    /// The file.
    pub file: FileId,
    /// The first inode that uses it; 0 for a part that waits.
    pub inode: u64,
}

/// What is looked at, and in which order: what repairs change comes before what they are counted by.
const PASSES: [Pass; 6] = [
    Pass { name: "rows", families: b"!#BKQacfhks", kind: Kind::Sums },
    Pass { name: "names", families: b"belv", kind: Kind::Rows },
    Pass { name: "inodes", families: b"i", kind: Kind::Rows },
    Pass { name: "content", families: b"djorxy", kind: Kind::Rows },
    Pass { name: "uploads", families: b"uq", kind: Kind::Rows },
    Pass { name: "directories", families: b"i", kind: Kind::Counts },
];

struct Pass {
    name: &'static str,
    families: &'static [u8],
    kind: Kind,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Sums,
    Rows,
    Counts,
}

impl Checker {
    /// A check that repairs, or only tells.
    pub fn new(names: Namespace, repair: bool) -> Self {
        Self { names, repair }
    }

    /// Looks at all rows. `on` is told of every page (what is looked at, and how many rows), and of findings.
    pub async fn run(
        &self,
        on_rows: &mut (dyn FnMut(&'static str, u64) + Send),
        on_finding: &mut (dyn FnMut(Finding) + Send),
    ) -> Result<(), NamespaceError> {
        for pass in &PASSES {
            for family in pass.families {
                let (mut from, kind) = (vec![*family], pass.kind);
                let end = prefix_end(&from);
                loop {
                    let (start, to) = (from.clone(), end.clone());
                    let (faults, count, next) =
                        self.names.read(move |read| page(read, &start, &to, kind)).await?;
                    on_rows(pass.name, count);
                    for fault in faults {
                        on_finding(self.settle(fault).await?);
                    }
                    match next {
                        Some(next) => from = next,
                        None => break,
                    }
                }
            }
        }
        for fault in self.parts_without_upload().await? {
            on_finding(self.settle(fault).await?);
        }
        for fault in self.waiting_uses().await? {
            on_finding(self.settle(fault).await?);
        }
        Ok(())
    }

    /// Files in use behind `after`, a page of them.
    pub async fn files(&self, after: Option<&FileId>) -> Result<Vec<UsedFile>, NamespaceError> {
        // Behind all rows of that file.
        let from = after.map_or_else(|| vec![b'r'], |file| prefix_end(&keys::reverses(&file.to_string())));
        self.names
            .read(move |read| {
                let mut files: Vec<UsedFile> = Vec::new();
                for (key, _) in read.range(&from, &prefix_end(b"r"), PAGE)? {
                    let Some((file, inode)) = faults::reverse(&key) else { continue };
                    if let Ok(file) = file.parse::<FileId>()
                        && files.last().is_none_or(|last| last.file != file)
                    {
                        files.push(UsedFile { file, inode });
                    }
                }
                Ok(files)
            })
            .await
    }

    /// The names whose content a file is part of, by bucket and key.
    pub async fn names_of(&self, file: &FileId) -> Result<Vec<String>, NamespaceError> {
        let mut names = Vec::new();
        for inode in self.names.users_of(file, USERS).await?.into_iter().filter(|inode| *inode != WAITING) {
            names.push(self.place(inode).await?);
        }
        Ok(names)
    }

    /// Bucket and key of an inode.
    pub async fn place(&self, inode: u64) -> Result<String, NamespaceError> {
        self.names.read(move |read| Ok(faults::place(read, inode))).await
    }

    async fn settle(&self, fault: Fault) -> Result<Finding, NamespaceError> {
        let (repairable, what) = (fault.is_repairable(), fault.to_string());
        let about = fault.clone();
        let place = self.names.read(move |read| Ok(about.place(read))).await?;
        let repaired = repairable && self.repair && {
            self.names.write(move |tx| repair::repair(tx, &fault)).await?;
            true
        };
        Ok(Finding { place, what, repairable, repaired })
    }
}

/// Faults of one page, its number of rows, and where the next one begins.
#[expect(clippy::type_complexity, reason = "three things that belong to no other place")]
fn page(
    read: &dyn Read,
    from: &[u8],
    to: &[u8],
    kind: Kind,
) -> Result<(Vec<Fault>, u64, Option<Vec<u8>>), NamespaceError> {
    let rows = read.range(from, to, ROWS)?;
    let next =
        (rows.len() == ROWS).then(|| rows.last().map(|(key, _)| [key.as_slice(), &[0]].concat())).flatten();
    let mut faults = Vec::new();
    for (key, value) in &rows {
        match kind {
            Kind::Sums => faults.extend(faults::sum(key, value)),
            Kind::Rows => faults.extend(faults::row(read, key, value)?),
            Kind::Counts => faults.extend(faults::counts(read, key, value)?),
        }
    }
    Ok((faults, rows.len() as u64, next))
}

/// The most names that are told of a file.
const USERS: usize = 100;
/// Rows of a page: with what they refer to they are one transaction.
const ROWS: usize = 200;
