//! Every message, against what the original says, against itself and against damage.

#[cfg(test)]
mod allocations;
#[cfg(test)]
mod captured;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod damaged;
#[cfg(test)]
mod ours;
#[cfg(test)]
mod round_trips;
#[cfg(test)]
mod vectors;
