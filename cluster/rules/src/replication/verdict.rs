//! What a peer's answer means.

use fdfs_proto::Status;

/// What a peer was asked to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation {
    /// Take a new file.
    Create,
    /// Take a file over what is there.
    Update,
    /// Put bytes behind the end of a file.
    Append,
    /// Overwrite bytes of a file.
    Modify,
    /// Change the size of a file.
    Truncate,
    /// Remove a file.
    Delete,
    /// Make a link.
    Link,
    /// Give a file another name.
    Rename,
}

/// What to do about an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The peer has what it should have.
    Done,
    /// The peer had a file of this name and size before: it may have the next ones, too.
    Known,
    /// The peer lacks what the change builds on: it gets the whole file by [`Operation::Update`].
    SendWhole,
    /// The peer lacks the file under its old name: it gets it under the new one by [`Operation::Create`].
    SendNew,
    /// The answer leaves open what the peer has: ask for the size, and send the whole file if it is another.
    CheckSize,
    /// The peer may have left the link out because it lacks its target: ask whether it is there.
    CheckLink,
    /// The peer cannot do anything of this kind at present.
    Busy,
    /// The peer does not take this record, whatever the time.
    Refused,
}

/// Reads the status that answers `operation`.
pub fn judge(operation: Operation, status: Status) -> Verdict {
    use Operation::{Append, Create, Delete, Link, Modify, Rename, Truncate, Update};
    match (operation, status) {
        (Rename, Status::OK | Status::EEXIST) | (Truncate, Status::EEXIST) => Verdict::CheckSize,
        (Link, Status::OK) => Verdict::CheckLink,
        (Create, Status::EEXIST) => Verdict::Known,
        (_, Status::OK) | (Update | Append | Modify, Status::EEXIST) | (Delete | Link, Status::ENOENT) => {
            Verdict::Done
        }
        (Append | Modify | Truncate, Status::ENOENT) => Verdict::SendWhole,
        (Rename, Status::ENOENT) => Verdict::SendNew,
        (
            _,
            Status::EIO
            | Status::EAGAIN
            | Status::ENOMEM
            | Status::EBUSY
            | Status::EMFILE
            | Status::ENOSPC
            | Status::EROFS
            | Status::ETIMEDOUT
            | Status::EOPNOTSUPP,
        ) => Verdict::Busy,
        _ => Verdict::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_of_the_original_has_its_meaning() {
        use Operation::{Append, Create, Delete, Link, Modify, Rename, Truncate, Update};
        for (operation, ok, exists, missing) in [
            (Create, Verdict::Done, Verdict::Known, Verdict::Refused),
            (Update, Verdict::Done, Verdict::Done, Verdict::Refused),
            (Append, Verdict::Done, Verdict::Done, Verdict::SendWhole),
            (Modify, Verdict::Done, Verdict::Done, Verdict::SendWhole),
            (Truncate, Verdict::Done, Verdict::CheckSize, Verdict::SendWhole),
            (Delete, Verdict::Done, Verdict::Refused, Verdict::Done),
            (Link, Verdict::CheckLink, Verdict::Refused, Verdict::Done),
            (Rename, Verdict::CheckSize, Verdict::CheckSize, Verdict::SendNew),
        ] {
            assert_eq!(judge(operation, Status::OK), ok, "{operation:?}");
            assert_eq!(judge(operation, Status::EEXIST), exists, "{operation:?}");
            assert_eq!(judge(operation, Status::ENOENT), missing, "{operation:?}");
            assert_eq!(judge(operation, Status::EINVAL), Verdict::Refused, "{operation:?}");
            assert_eq!(judge(operation, Status::ENAMETOOLONG), Verdict::Refused, "{operation:?}");
            assert_eq!(judge(operation, Status::ENOSPC), Verdict::Busy, "{operation:?}");
            assert_eq!(judge(operation, Status::EIO), Verdict::Busy, "{operation:?}");
        }
    }
}
