//! OTLP as JSON, turned into protobuf.
//!
//! Collectors differ in whether they take JSON, so what comes as JSON goes on as protobuf. The text is read
//! once, by a table of the fields of each message (`json/schema.rs`), and written as it is read; no objects are
//! built between.
//!
//! By the rules of OTLP: names in lowerCamelCase, ids in hex, other bytes in base64, enums as integers, 64-bit
//! integers as text or as numbers, `null` for what is not there; unknown fields are passed over.

mod number;
mod schema;

use std::fmt;

use evenkeel_otlp::Signal;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use number::Number;
use schema::{Field, Kind, Message};

/// The protobuf of an export request that came as JSON.
///
/// # Errors
/// Line and column of what is no JSON or does not fit its field.
pub(crate) fn to_protobuf(json: &[u8], signal: Signal) -> Result<Vec<u8>, serde_json::Error> {
    let message = match signal {
        Signal::Traces => &schema::TRACES,
        Signal::Metrics => &schema::METRICS,
        Signal::Logs => &schema::LOGS,
        _ => return Err(serde_json::Error::custom("this signal has no JSON here")),
    };
    let mut protobuf = Vec::with_capacity(json.len() / 2);
    let mut reader = serde_json::Deserializer::from_slice(json);
    Object(message, &mut protobuf).deserialize(&mut reader)?;
    reader.end()?;
    Ok(protobuf)
}

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH: u8 = 2;
const FIXED32: u8 = 5;

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn tag(out: &mut Vec<u8>, number: u32, wire_type: u8) {
    varint(out, u64::from(number) << 3 | u64::from(wire_type));
}

fn length_delimited(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    tag(out, number, LENGTH);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A JSON object as the message it stands for.
struct Object<'a>(&'static Message, &'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(Name(self.0))? {
            match field {
                Some(field) => map.next_value_seed(Value(field, self.1))?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// The name of a field; `None` if the message has none of it.
struct Name(&'static Message);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.0.iter().find(|field| field.name == name))
    }
}

/// The value of a field, or `null`.
struct Value<'a>(&'static Field, &'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for `{}`", self.0.kind, self.0.name)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self(field, out) = self;
        if field.repeated {
            deserializer.deserialize_seq(List(field, out))
        } else {
            One(field, out).deserialize(deserializer)
        }
    }
}

/// The values of a repeated field.
struct List<'a>(&'static Field, &'a mut Vec<u8>);

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list for `{}`", self.0.name)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(One(self.0, self.1))?.is_some() {}
        Ok(())
    }
}

/// One value. Numbers of a list are written one by one, which every decoder takes as well as packed.
struct One<'a>(&'static Field, &'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self(field, out) = self;
        match field.kind {
            Kind::Message(message) => {
                let mut inner = Vec::new();
                Object(message, &mut inner).deserialize(deserializer)?;
                length_delimited(out, field.number, &inner);
                Ok(())
            }
            Kind::Bool => deserializer.deserialize_bool(Self(field, out)),
            _ => deserializer.deserialize_any(Self(field, out)),
        }
    }
}

impl One<'_> {
    fn number<E: Error>(self, number: Number<'_>) -> Result<(), E> {
        let Self(field, out) = self;
        let wrong = || {
            E::custom(format_args!(
                "{number} is not {} for `{}`",
                field.kind, field.name
            ))
        };
        let signed = |low: i64, high: i64| {
            let value = number.signed().filter(|value| (low..=high).contains(value));
            value.ok_or_else(wrong)
        };
        let unsigned = |high: u64| number.unsigned().filter(|value| *value <= high).ok_or_else(wrong);
        match field.kind {
            Kind::Double => {
                let value = number.double().ok_or_else(wrong)?;
                tag(out, field.number, FIXED64);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Kind::Fixed64 => {
                let value = unsigned(u64::MAX)?;
                tag(out, field.number, FIXED64);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Kind::Sfixed64 => {
                let value = signed(i64::MIN, i64::MAX)?;
                tag(out, field.number, FIXED64);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Kind::Fixed32 => {
                let value = unsigned(u64::from(u32::MAX))? as u32;
                tag(out, field.number, FIXED32);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Kind::Uint32 | Kind::Uint64 => {
                let high = if field.kind.is_32() {
                    u64::from(u32::MAX)
                } else {
                    u64::MAX
                };
                let value = unsigned(high)?;
                tag(out, field.number, VARINT);
                varint(out, value);
            }
            Kind::Int32 | Kind::Int64 => {
                let value = if field.kind.is_32() {
                    signed(i64::from(i32::MIN), i64::from(i32::MAX))?
                } else {
                    signed(i64::MIN, i64::MAX)?
                };
                tag(out, field.number, VARINT);
                varint(out, value as u64);
            }
            Kind::Sint32 => {
                let value = signed(i64::from(i32::MIN), i64::from(i32::MAX))?;
                tag(out, field.number, VARINT);
                varint(out, ((value << 1) ^ (value >> 63)) as u64);
            }
            Kind::Bool | Kind::String | Kind::Bytes | Kind::Id | Kind::Message(_) => return Err(wrong()),
        }
        Ok(())
    }
}

impl Visitor<'_> for One<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for `{}`", self.0.kind, self.0.name)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        let Self(field, out) = self;
        if !matches!(field.kind, Kind::Bool) {
            return Err(E::invalid_type(
                serde::de::Unexpected::Bool(value),
                &Self(field, out),
            ));
        }
        tag(out, field.number, VARINT);
        varint(out, u64::from(value));
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.number(Number::Signed(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.number(Number::Unsigned(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.number(Number::Float(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let Self(field, out) = self;
        match field.kind {
            Kind::String => length_delimited(out, field.number, text.as_bytes()),
            Kind::Id => {
                let id = number::hex(text);
                let id = id.ok_or_else(|| E::custom(format_args!("`{}` is no id in hex", field.name)))?;
                length_delimited(out, field.number, &id);
            }
            Kind::Bytes => {
                let bytes = number::base64(text);
                let bytes = bytes.ok_or_else(|| E::custom(format_args!("`{}` is no base64", field.name)))?;
                length_delimited(out, field.number, &bytes);
            }
            _ => return Self(field, out).number(Number::Text(text)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
