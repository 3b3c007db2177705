//! Managed outgoing connections.
