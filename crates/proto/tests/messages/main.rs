//! Every message, against what the original says and against damage.

mod captured;
mod damaged;
mod vectors;
