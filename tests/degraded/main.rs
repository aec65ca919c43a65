//! What a cluster answers while a part of it is frozen, away or full, and afterwards.

mod frozen;
