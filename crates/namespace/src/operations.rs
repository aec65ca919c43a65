//! What an operator does with a whole store: back it up, restore it, copy it elsewhere, check it.

mod backup;
mod check;

pub use backup::{OperationError, back_up, copy, restore};
pub use check::{Checker, Finding, UsedFile};

#[cfg(test)]
mod tests;
