//! The messages of OTLP 1.x: the name in JSON, the number and the kind of each field.

use std::fmt;

/// A message: its fields.
pub(super) struct Message(pub(super) &'static [Field]);

pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
    String,
    Bytes,
    /// Bytes that OTLP writes in hex.
    Id,
    Message(&'static Message),
}

impl Kind {
    pub(super) const fn is_32(self) -> bool {
        matches!(self, Self::Int32 | Self::Uint32 | Self::Sint32 | Self::Fixed32)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "true or false",
            Self::Int32 | Self::Sint32 => "an integer of 32 bits",
            Self::Int64 | Self::Sfixed64 => "an integer of 64 bits",
            Self::Uint32 | Self::Fixed32 => "an integer of 32 bits from 0",
            Self::Uint64 | Self::Fixed64 => "an integer of 64 bits from 0",
            Self::Double => "a number",
            Self::String => "text",
            Self::Bytes => "text in base64",
            Self::Id => "text in hex",
            Self::Message(_) => "an object",
        })
    }
}

use Kind::{
    Bool, Bytes, Double, Fixed32, Fixed64, Id, Int32, Int64, Message as Of, Sfixed64, Sint32, String, Uint32,
    Uint64,
};

const fn one(name: &'static str, number: u32, kind: Kind) -> Field {
    Field {
        name,
        number,
        kind,
        repeated: false,
    }
}

const fn many(name: &'static str, number: u32, kind: Kind) -> Field {
    Field {
        name,
        number,
        kind,
        repeated: true,
    }
}

const fn attributes(number: u32) -> Field {
    many("attributes", number, Of(&KEY_VALUE))
}

// common

static ANY_VALUE: Message = Message(&[
    one("stringValue", 1, String),
    one("boolValue", 2, Bool),
    one("intValue", 3, Int64),
    one("doubleValue", 4, Double),
    one("arrayValue", 5, Of(&ARRAY)),
    one("kvlistValue", 6, Of(&KEY_VALUES)),
    one("bytesValue", 7, Bytes),
]);
static ARRAY: Message = Message(&[many("values", 1, Of(&ANY_VALUE))]);
static KEY_VALUES: Message = Message(&[many("values", 1, Of(&KEY_VALUE))]);
static KEY_VALUE: Message = Message(&[one("key", 1, String), one("value", 2, Of(&ANY_VALUE))]);
static SCOPE: Message = Message(&[
    one("name", 1, String),
    one("version", 2, String),
    attributes(3),
    one("droppedAttributesCount", 4, Uint32),
]);
static RESOURCE: Message = Message(&[
    attributes(1),
    one("droppedAttributesCount", 2, Uint32),
    many("entityRefs", 3, Of(&ENTITY)),
]);
static ENTITY: Message = Message(&[
    one("schemaUrl", 1, String),
    one("type", 2, String),
    many("idKeys", 3, String),
    many("descriptionKeys", 4, String),
]);

// traces

pub(super) static TRACES: Message = Message(&[many("resourceSpans", 1, Of(&RESOURCE_SPANS))]);
static RESOURCE_SPANS: Message = Message(&[
    one("resource", 1, Of(&RESOURCE)),
    many("scopeSpans", 2, Of(&SCOPE_SPANS)),
    one("schemaUrl", 3, String),
]);
static SCOPE_SPANS: Message = Message(&[
    one("scope", 1, Of(&SCOPE)),
    many("spans", 2, Of(&SPAN)),
    one("schemaUrl", 3, String),
]);
static SPAN: Message = Message(&[
    one("traceId", 1, Id),
    one("spanId", 2, Id),
    one("traceState", 3, String),
    one("parentSpanId", 4, Id),
    one("name", 5, String),
    one("kind", 6, Int32),
    one("startTimeUnixNano", 7, Fixed64),
    one("endTimeUnixNano", 8, Fixed64),
    attributes(9),
    one("droppedAttributesCount", 10, Uint32),
    many("events", 11, Of(&EVENT)),
    one("droppedEventsCount", 12, Uint32),
    many("links", 13, Of(&LINK)),
    one("droppedLinksCount", 14, Uint32),
    one("status", 15, Of(&STATUS)),
    one("flags", 16, Fixed32),
]);
static EVENT: Message = Message(&[
    one("timeUnixNano", 1, Fixed64),
    one("name", 2, String),
    attributes(3),
    one("droppedAttributesCount", 4, Uint32),
]);
static LINK: Message = Message(&[
    one("traceId", 1, Id),
    one("spanId", 2, Id),
    one("traceState", 3, String),
    attributes(4),
    one("droppedAttributesCount", 5, Uint32),
    one("flags", 6, Fixed32),
]);
static STATUS: Message = Message(&[one("message", 2, String), one("code", 3, Int32)]);

// logs

pub(super) static LOGS: Message = Message(&[many("resourceLogs", 1, Of(&RESOURCE_LOGS))]);
static RESOURCE_LOGS: Message = Message(&[
    one("resource", 1, Of(&RESOURCE)),
    many("scopeLogs", 2, Of(&SCOPE_LOGS)),
    one("schemaUrl", 3, String),
]);
static SCOPE_LOGS: Message = Message(&[
    one("scope", 1, Of(&SCOPE)),
    many("logRecords", 2, Of(&LOG_RECORD)),
    one("schemaUrl", 3, String),
]);
static LOG_RECORD: Message = Message(&[
    one("timeUnixNano", 1, Fixed64),
    one("severityNumber", 2, Int32),
    one("severityText", 3, String),
    one("body", 5, Of(&ANY_VALUE)),
    attributes(6),
    one("droppedAttributesCount", 7, Uint32),
    one("flags", 8, Fixed32),
    one("traceId", 9, Id),
    one("spanId", 10, Id),
    one("observedTimeUnixNano", 11, Fixed64),
    one("eventName", 12, String),
]);

// metrics

pub(super) static METRICS: Message = Message(&[many("resourceMetrics", 1, Of(&RESOURCE_METRICS))]);
static RESOURCE_METRICS: Message = Message(&[
    one("resource", 1, Of(&RESOURCE)),
    many("scopeMetrics", 2, Of(&SCOPE_METRICS)),
    one("schemaUrl", 3, String),
]);
static SCOPE_METRICS: Message = Message(&[
    one("scope", 1, Of(&SCOPE)),
    many("metrics", 2, Of(&METRIC)),
    one("schemaUrl", 3, String),
]);
static METRIC: Message = Message(&[
    one("name", 1, String),
    one("description", 2, String),
    one("unit", 3, String),
    one("gauge", 5, Of(&GAUGE)),
    one("sum", 7, Of(&SUM)),
    one("histogram", 9, Of(&HISTOGRAM)),
    one("exponentialHistogram", 10, Of(&EXPONENTIAL_HISTOGRAM)),
    one("summary", 11, Of(&SUMMARY)),
    many("metadata", 12, Of(&KEY_VALUE)),
]);
static GAUGE: Message = Message(&[many("dataPoints", 1, Of(&NUMBER_POINT))]);
static SUM: Message = Message(&[
    many("dataPoints", 1, Of(&NUMBER_POINT)),
    one("aggregationTemporality", 2, Int32),
    one("isMonotonic", 3, Bool),
]);
static HISTOGRAM: Message = Message(&[
    many("dataPoints", 1, Of(&HISTOGRAM_POINT)),
    one("aggregationTemporality", 2, Int32),
]);
static EXPONENTIAL_HISTOGRAM: Message = Message(&[
    many("dataPoints", 1, Of(&EXPONENTIAL_POINT)),
    one("aggregationTemporality", 2, Int32),
]);
static SUMMARY: Message = Message(&[many("dataPoints", 1, Of(&SUMMARY_POINT))]);
static NUMBER_POINT: Message = Message(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("asDouble", 4, Double),
    many("exemplars", 5, Of(&EXEMPLAR)),
    one("asInt", 6, Sfixed64),
    attributes(7),
    one("flags", 8, Uint32),
]);
static HISTOGRAM_POINT: Message = Message(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    one("sum", 5, Double),
    many("bucketCounts", 6, Fixed64),
    many("explicitBounds", 7, Double),
    many("exemplars", 8, Of(&EXEMPLAR)),
    attributes(9),
    one("flags", 10, Uint32),
    one("min", 11, Double),
    one("max", 12, Double),
]);
static EXPONENTIAL_POINT: Message = Message(&[
    attributes(1),
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    one("sum", 5, Double),
    one("scale", 6, Sint32),
    one("zeroCount", 7, Fixed64),
    one("positive", 8, Of(&BUCKETS)),
    one("negative", 9, Of(&BUCKETS)),
    one("flags", 10, Uint32),
    many("exemplars", 11, Of(&EXEMPLAR)),
    one("min", 12, Double),
    one("max", 13, Double),
    one("zeroThreshold", 14, Double),
]);
static BUCKETS: Message = Message(&[one("offset", 1, Sint32), many("bucketCounts", 2, Uint64)]);
static SUMMARY_POINT: Message = Message(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    one("sum", 5, Double),
    many("quantileValues", 6, Of(&QUANTILE)),
    attributes(7),
    one("flags", 8, Uint32),
]);
static QUANTILE: Message = Message(&[one("quantile", 1, Double), one("value", 2, Double)]);
static EXEMPLAR: Message = Message(&[
    one("timeUnixNano", 2, Fixed64),
    one("asDouble", 3, Double),
    one("spanId", 4, Id),
    one("traceId", 5, Id),
    one("asInt", 6, Sfixed64),
    many("filteredAttributes", 7, Of(&KEY_VALUE)),
]);
