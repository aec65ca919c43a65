//! Every message, against what the original says and against damage.

#[cfg(test)]
mod captured;
#[cfg(test)]
mod damaged;
#[cfg(test)]
mod ours;
#[cfg(test)]
mod vectors;
