//! Rules of the cluster: states, selection, leader, sync plan; pure.
