//! Connections, server loop, pools and payload streams over tokio.
