//! A lifetime in a file: a duration, or `"forever"`, because some formats have no word for nothing and
//! a field that is left out has its default.

use std::time::Duration;

use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer, Serializer};

const FOREVER: &str = "forever";

pub(super) fn serialize<S: Serializer>(
    lifetime: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match lifetime {
        None => serializer.serialize_str(FOREVER),
        Some(lifetime) => humantime_serde::serialize(lifetime, serializer),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    match Option::<String>::deserialize(deserializer)?.as_deref() {
        None | Some(FOREVER) => Ok(None),
        Some(text) => humantime_serde::deserialize(text.into_deserializer()).map(Some),
    }
}
