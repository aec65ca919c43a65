//! Sending changes to another member: what is sent, in which order, what an answer means, and when to stop trying.
//!
//! Pure: positions, times and statuses come in, decisions come out. The storage does what they say.

mod hours;
mod identified;
mod pace;
mod verdict;
mod window;

pub use hours::SyncHours;
pub use identified::{Identified, Moment, Route};
pub use pace::{Backoff, Patience};
pub use verdict::{Operation, Verdict, judge};
pub use window::Window;
