//! Finding and healing files that are not what their names say.

mod examination;
mod gentle_read;
mod healing;
mod kept;
mod names;
mod suspect;

pub(super) use self::names::told_by;
pub use self::{
    examination::{Examination, Verdict},
    healing::{Healed, Healing},
    suspect::{Damage, Suspect},
};
use self::{names::Told, suspect::Fingerprint};
