//! The ranges of one owner: those of a kind never overlap, and those that are alike and touch are one.

use super::Lock;

/// Replaces what is held within `range` by `new`.
pub(super) fn replace(held: &[Lock], range: &Lock, new: Option<&Lock>) -> Vec<Lock> {
    let mut after = Vec::with_capacity(held.len() + 2);
    for lock in held {
        if lock.kind != range.kind || lock.end < range.start || lock.start > range.end {
            after.push(*lock);
            continue;
        }
        if let Some(end) = range.start.checked_sub(1).filter(|end| lock.start <= *end) {
            after.push(Lock { end, ..*lock });
        }
        if let Some(start) = range.end.checked_add(1).filter(|start| *start <= lock.end) {
            after.push(Lock { start, ..*lock });
        }
    }
    after.extend(new);
    after.sort_by_key(|lock| (lock.kind as u8, lock.start));
    let mut joined: Vec<Lock> = Vec::with_capacity(after.len());
    for lock in after {
        match joined.last_mut() {
            Some(last)
                if last.kind == lock.kind
                    && last.exclusive == lock.exclusive
                    && last.end.checked_add(1) == Some(lock.start) =>
            {
                last.end = lock.end;
            }
            _ => joined.push(lock),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::super::LockKind;
    use super::*;

    fn lock(start: u64, end: u64, exclusive: bool) -> Lock {
        Lock { kind: LockKind::Range, start, end, exclusive, pid: 1 }
    }

    #[test]
    fn ranges_of_an_owner_are_split_and_joined() {
        let all = [lock(0, u64::MAX, false)];
        let split = replace(&all, &lock(10, 19, true), Some(&lock(10, 19, true)));
        assert_eq!(split, [lock(0, 9, false), lock(10, 19, true), lock(20, u64::MAX, false)]);
        assert_eq!(replace(&split, &lock(10, 19, false), Some(&lock(10, 19, false))), all);
        assert_eq!(replace(&split, &lock(0, u64::MAX, true), None), []);
        assert_eq!(replace(&split, &lock(5, 30, true), None), [lock(0, 4, false), lock(31, u64::MAX, false)]);
        // What flock took is another thing.
        let whole = Lock { kind: LockKind::Whole, ..lock(0, u64::MAX, true) };
        assert_eq!(replace(&all, &whole, Some(&whole)), [all[0], whole]);
        assert_eq!(replace(&[all[0], whole], &all[0], None), [whole]);
    }
}
