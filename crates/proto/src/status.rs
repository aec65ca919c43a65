//! Outcomes, as the protocol writes them: numbers of Linux errors in one byte.

use std::fmt;

/// The outcome in a response: zero, or the number of a Linux error, whatever the platform.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Status(pub u8);

macro_rules! statuses {
    ($($number:literal $name:ident $meaning:literal;)*) => {
        impl Status {
            $(
                #[doc = concat!("`", stringify!($name), "` (", stringify!($number), "): ", $meaning, ".")]
                pub const $name: Self = Self($number);
            )*

            /// The name of the error; `None` for a number that this list lacks.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// What the status means, in a few words.
            pub const fn meaning(self) -> &'static str {
                match self.0 {
                    $($number => $meaning,)*
                    _ => "error of the server's system",
                }
            }
        }
    };
}

statuses! {
    0 OK "success";
    1 EPERM "operation not permitted";
    2 ENOENT "no such file, group or storage";
    5 EIO "input/output error";
    11 EAGAIN "try again later";
    12 ENOMEM "out of memory";
    13 EACCES "permission denied";
    14 EFAULT "internal fault of the server";
    16 EBUSY "in use";
    17 EEXIST "exists already";
    20 ENOTDIR "not a directory";
    21 EISDIR "not a regular file";
    22 EINVAL "invalid request";
    24 EMFILE "too many open files";
    28 ENOSPC "no space left";
    30 EROFS "read-only file system";
    36 ENAMETOOLONG "name too long";
    39 ENOTEMPTY "not empty";
    64 ENONET "storage is not active";
    95 EOPNOTSUPP "not supported by this server";
    107 ENOTCONN "not connected";
    110 ETIMEDOUT "timed out";
    111 ECONNREFUSED "connection refused";
    114 EALREADY "already so";
}

impl Status {
    /// The status for an error number of the system.
    ///
    /// Clients read the byte as signed, so numbers outside of 1 to 127 become [`Status::EIO`].
    pub const fn from_errno(errno: i32) -> Self {
        match errno {
            1..=127 => Self(errno.unsigned_abs() as u8),
            _ => Self::EIO,
        }
    }

    /// Whether the request succeeded.
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }

    /// The error number, for [`std::io::Error::from_raw_os_error`].
    pub const fn errno(self) -> i32 {
        self.0 as i32
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.meaning())
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name}({})", self.0),
            None => write!(f, "Status({})", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_its_number_and_what_it_means() {
        assert_eq!(Status::ENOENT.to_string(), "2 (no such file, group or storage)");
        assert_eq!(Status(99).to_string(), "99 (error of the server's system)");
        assert_eq!(format!("{:?}", Status::EINVAL), "EINVAL(22)");
    }

    #[test]
    fn an_errno_that_a_signed_byte_cannot_hold_becomes_an_io_error() {
        assert_eq!(Status::from_errno(28), Status::ENOSPC);
        assert_eq!(Status::from_errno(128), Status::EIO);
        assert_eq!(Status::from_errno(0), Status::EIO);
        assert_eq!(Status::from_errno(-2), Status::EIO);
    }
}
