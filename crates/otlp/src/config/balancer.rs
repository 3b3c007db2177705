//! The balancer's part of a file: what is not written keeps the defaults of OTLP, not the balancer's own; and what can
//! be off is `false`, where a file format has no null.
//!
//! Errors come from within the file's own format, so that they keep the line.

use std::fmt;

use evenkeel::balancer::LoadBalancerConfig;
use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, Unexpected, Visitor,
};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::{Map, Value};

use super::OtlpClientConfig;

/// What is on by default and can be switched off.
const CAN_BE_OFF: [&str; 4] = ["hedging", "slow_start", "outlier_detection", "attempt_timeout"];

/// The one field that is not the balancer's here.
const TIMEOUT: &str = "request_timeout";

pub(super) fn serialize<S: Serializer>(config: &LoadBalancerConfig, to: S) -> Result<S::Ok, S::Error> {
    let mut fields = fields(config).map_err(S::Error::custom)?;
    fields.remove(TIMEOUT);
    for (field, value) in &mut fields {
        if value.is_null() && CAN_BE_OFF.contains(&field.as_str()) {
            *value = Value::Bool(false);
        }
    }
    fields.retain(|_, value| !value.is_null());
    fields.serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<LoadBalancerConfig, D::Error> {
    let defaults = fields(&OtlpClientConfig::balancer_defaults()).map_err(D::Error::custom)?;
    LoadBalancerConfig::deserialize(OverDefaults { from, defaults })
}

fn fields(config: &LoadBalancerConfig) -> Result<Map<String, Value>, serde_json::Error> {
    serde_json::to_value(config).and_then(serde_json::from_value)
}

/// A struct whose fields are those that are written, and the defaults of the others.
struct OverDefaults<D> {
    from: D,
    defaults: Map<String, Value>,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for OverDefaults<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let defaults = self.defaults;
        self.from.deserialize_map(WithDefaults { visitor, defaults })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct WithDefaults<V> {
    visitor: V,
    defaults: Map<String, Value>,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for WithDefaults<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, written: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Fields {
            written: Some(written),
            field: String::new(),
            defaults: self.defaults,
            default: None,
        })
    }
}

/// First what is written, then the defaults that are left.
struct Fields<A> {
    written: Option<A>,
    /// The field that was read last.
    field: String,
    defaults: Map<String, Value>,
    default: Option<Value>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let mut seed = Some(seed);
        if let Some(written) = &mut self.written {
            let name = Name {
                seed: &mut seed,
                name: &mut self.field,
            };
            if let Some(key) = written.next_key_seed(name)? {
                self.defaults.remove(&self.field);
                return Ok(key);
            }
            self.written = None;
        }
        let Some(name) = self.defaults.keys().next().cloned() else {
            return Ok(None);
        };
        self.default = self.defaults.remove(&name);
        let key: StringDeserializer<A::Error> = name.into_deserializer();
        seed.map(|seed| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        match &mut self.written {
            Some(written) if CAN_BE_OFF.contains(&self.field.as_str()) => {
                written.next_value_seed(MayBeOff(seed))
            }
            Some(written) => written.next_value_seed(seed),
            None => {
                let default = self.default.take().unwrap_or_default();
                seed.deserialize(default).map_err(A::Error::custom)
            }
        }
    }
}

/// Reads a key, and notes its name. What reads it stays where it is if there is none.
struct Name<'a, K> {
    seed: &'a mut Option<K>,
    name: &'a mut String,
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for Name<'_, K> {
    type Value = Option<K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        *self.name = String::deserialize(from)?;
        if self.name == TIMEOUT {
            let instead = "`request_timeout` is not set here: `timeout`, beside `balancer`, is in its place";
            return Err(D::Error::custom(instead));
        }
        let name: StringDeserializer<D::Error> = self.name.clone().into_deserializer();
        self.seed.take().map(|seed| seed.deserialize(name)).transpose()
    }
}

/// What reads an `Option` reads `false` as `None` by this.
struct MayBeOff<T>(T);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for MayBeOff<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(MayBeOff(from))
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for MayBeOff<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(OrFalse(visitor))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct OrFalse<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for OrFalse<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)?;
        f.write_str(" or false")
    }

    fn visit_bool<E: serde::de::Error>(self, on: bool) -> Result<V::Value, E> {
        if on {
            return Err(E::invalid_value(Unexpected::Bool(on), &self));
        }
        self.0.visit_none()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(from)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<V::Value, E> {
        self.0.visit_some(text.into_deserializer())
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<V::Value, A::Error> {
        self.0.visit_some(MapAccessDeserializer::new(fields))
    }
}
