//! Sends OTLP to several collectors.
