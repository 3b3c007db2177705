//! TLS for a manager's connections, by rustls.
