//! Access to files: topology, choice of replica, retry, upload, download.
