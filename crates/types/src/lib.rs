//! Words of the domain: group names, file IDs, states, metadata.
