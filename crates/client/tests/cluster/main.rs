//! The client against a cluster whose storages and trackers fail on demand, over real sockets.

#[cfg(test)]
mod changing;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod local;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod storing;
#[cfg(test)]
mod trackers;
