//! Native HTTP paths.
