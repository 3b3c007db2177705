use evenkeel_otlp::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{exemplar, metric, number_data_point};
use prost::Message;

use super::to_protobuf;

fn read<M: Message + Default>(json: &str, signal: Signal) -> M {
    M::decode(&*to_protobuf(json.as_bytes(), signal).unwrap()).unwrap()
}

fn refused(json: &str) -> String {
    to_protobuf(json.as_bytes(), Signal::Traces)
        .unwrap_err()
        .to_string()
}

fn text(value: &str) -> Option<AnyValue> {
    let value = Some(Value::StringValue(value.to_owned()));
    Some(AnyValue { value })
}

#[test]
fn every_field_of_a_span_arrives_where_a_collector_reads_it() {
    let json = r#"{"resourceSpans":[{
        "resource":{
            "attributes":[{"key":"service.name","value":{"stringValue":"my.service"}}],
            "droppedAttributesCount":1,
            "entityRefs":[{"schemaUrl":"s","type":"service","idKeys":["a","b"],"descriptionKeys":["c"]}]
        },
        "scopeSpans":[{
            "scope":{"name":"my.library","version":"1.0.0","attributes":[
                {"key":"all","value":{"arrayValue":{"values":[
                    {"boolValue":true},{"intValue":"-7"},{"intValue":7},{"doubleValue":1.5},{"doubleValue":"NaN"},
                    {"bytesValue":"AQIDBA=="},{"bytesValue":"-_8"},
                    {"kvlistValue":{"values":[{"key":"k","value":{"stringValue":"v\u00e9\n"}}]}},
                    {}
                ]}}}
            ],"droppedAttributesCount":2},
            "spans":[{
                "traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174",
                "parentSpanId":"EEE19B7EC3C1B173","traceState":"a=b","name":"I'm a server span","kind":2,
                "startTimeUnixNano":"1544712660000000000","endTimeUnixNano":1544712661000000000,
                "attributes":[{"key":"my.span.attr","value":{"stringValue":"some value"}}],
                "droppedAttributesCount":3,
                "events":[{"timeUnixNano":"5","name":"e","attributes":[],"droppedAttributesCount":4}],
                "droppedEventsCount":5,
                "links":[{"traceId":"00000000000000000000000000000001","spanId":"0000000000000002","traceState":"t",
                          "droppedAttributesCount":6,"flags":7}],
                "droppedLinksCount":8,"status":{"message":"m","code":2},"flags":257
            }],
            "schemaUrl":"https://scope"
        }],
        "schemaUrl":"https://resource"
    }]}"#;
    let request: ExportTraceServiceRequest = read(json, Signal::Traces);
    let resource_spans = &request.resource_spans[0];
    let resource = resource_spans.resource.as_ref().unwrap();
    assert_eq!(resource.attributes[0].key, "service.name");
    assert_eq!(resource.attributes[0].value, text("my.service"));
    assert_eq!(resource.dropped_attributes_count, 1);
    assert_eq!(resource.entity_refs[0].id_keys, ["a", "b"]);
    assert_eq!(resource.entity_refs[0].description_keys, ["c"]);
    assert_eq!(resource_spans.schema_url, "https://resource");
    let scope_spans = &resource_spans.scope_spans[0];
    assert_eq!(scope_spans.schema_url, "https://scope");
    let scope = scope_spans.scope.as_ref().unwrap();
    assert_eq!(
        (scope.name.as_str(), scope.version.as_str()),
        ("my.library", "1.0.0")
    );
    let Some(Value::ArrayValue(all)) = scope.attributes[0].value.clone().unwrap().value else {
        panic!("no list");
    };
    let all: Vec<_> = all.values.into_iter().map(|value| value.value).collect();
    assert_eq!(all[0], Some(Value::BoolValue(true)));
    assert_eq!(all[1], Some(Value::IntValue(-7)));
    assert_eq!(all[2], Some(Value::IntValue(7)));
    assert_eq!(all[3], Some(Value::DoubleValue(1.5)));
    assert!(matches!(all[4], Some(Value::DoubleValue(n)) if n.is_nan()));
    assert_eq!(all[5], Some(Value::BytesValue(vec![1, 2, 3, 4])));
    assert_eq!(all[6], Some(Value::BytesValue(vec![0xfb, 0xff])));
    let Some(Value::KvlistValue(pairs)) = &all[7] else {
        panic!("no pairs")
    };
    assert_eq!(pairs.values[0].value, text("vé\n"));
    assert_eq!(all[8], None);
    let span = &scope_spans.spans[0];
    assert_eq!(span.trace_id[..4], [0x5b, 0x8e, 0xff, 0xf7]);
    assert_eq!(
        (span.trace_id.len(), span.span_id.len(), span.parent_span_id.len()),
        (16, 8, 8)
    );
    assert_eq!(
        (span.name.as_str(), span.kind, span.flags),
        ("I'm a server span", 2, 257)
    );
    assert_eq!(span.start_time_unix_nano, 1_544_712_660_000_000_000);
    assert_eq!(span.end_time_unix_nano, 1_544_712_661_000_000_000);
    assert_eq!(span.trace_state, "a=b");
    let dropped = (
        span.dropped_attributes_count,
        span.dropped_events_count,
        span.dropped_links_count,
    );
    assert_eq!(dropped, (3, 5, 8));
    assert_eq!(
        (span.events[0].time_unix_nano, span.events[0].name.as_str()),
        (5, "e")
    );
    assert_eq!((span.links[0].span_id[7], span.links[0].flags), (2, 7));
    let status = span.status.as_ref().unwrap();
    assert_eq!((status.message.as_str(), status.code), ("m", 2));
}

#[test]
fn every_kind_of_metric_arrives() {
    let point = r#""startTimeUnixNano":"1","timeUnixNano":"2","attributes":[{"key":"k","value":{"stringValue":"v"}}]"#;
    let exemplar = r#"[{"timeUnixNano":"3","asInt":"-4","spanId":"eee19b7ec3c1b174","traceId":"01","filteredAttributes":[]}]"#;
    let json = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[
        {{"name":"g","unit":"1","description":"d","metadata":[{{"key":"m","value":{{"boolValue":false}}}}],
          "gauge":{{"dataPoints":[{{{point},"asDouble":-2.5,"exemplars":{exemplar},"flags":1}}]}}}},
        {{"name":"s","sum":{{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{{{point},"asInt":"-5"}}]}}}},
        {{"name":"h","histogram":{{"aggregationTemporality":1,"dataPoints":[{{{point},"count":"3","sum":4.5,
            "bucketCounts":["1",2],"explicitBounds":[0.5],"min":0,"max":3}}]}}}},
        {{"name":"e","exponentialHistogram":{{"aggregationTemporality":1,"dataPoints":[{{{point},"count":3,"sum":10,
            "scale":-1,"zeroCount":"1","positive":{{"offset":-3,"bucketCounts":["0",300]}},"negative":{{}},
            "zeroThreshold":0.25}}]}}}},
        {{"name":"q","summary":{{"dataPoints":[{{{point},"count":"9","sum":1,
            "quantileValues":[{{"quantile":0.99,"value":7}}]}}]}}}}
        ]}}]}}]}}"#
    );
    let request: ExportMetricsServiceRequest = read(&json, Signal::Metrics);
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    let Some(metric::Data::Gauge(gauge)) = &metrics[0].data else {
        panic!("{:?}", metrics[0])
    };
    let gauge = &gauge.data_points[0];
    assert_eq!(gauge.value, Some(number_data_point::Value::AsDouble(-2.5)));
    assert_eq!(
        (gauge.start_time_unix_nano, gauge.time_unix_nano, gauge.flags),
        (1, 2, 1)
    );
    assert_eq!(gauge.exemplars[0].value, Some(exemplar::Value::AsInt(-4)));
    assert_eq!(gauge.exemplars[0].trace_id, [1]);
    assert_eq!(
        gauge.attributes,
        [KeyValue {
            key: "k".into(),
            value: text("v"),
            ..KeyValue::default()
        }]
    );
    assert_eq!((metrics[0].unit.as_str(), metrics[0].metadata.len()), ("1", 1));
    let Some(metric::Data::Sum(sum)) = &metrics[1].data else {
        panic!("{:?}", metrics[1])
    };
    assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (2, true));
    assert_eq!(
        sum.data_points[0].value,
        Some(number_data_point::Value::AsInt(-5))
    );
    let Some(metric::Data::Histogram(histogram)) = &metrics[2].data else {
        panic!("{:?}", metrics[2])
    };
    let histogram = &histogram.data_points[0];
    assert_eq!(histogram.bucket_counts, [1, 2]);
    assert_eq!(histogram.explicit_bounds, [0.5]);
    assert_eq!((histogram.count, histogram.sum), (3, Some(4.5)));
    assert_eq!((histogram.min, histogram.max), (Some(0.0), Some(3.0)));
    let Some(metric::Data::ExponentialHistogram(exponential)) = &metrics[3].data else {
        panic!("{:?}", metrics[3]);
    };
    let exponential = &exponential.data_points[0];
    let positive = exponential.positive.as_ref().unwrap();
    assert_eq!((exponential.scale, positive.offset), (-1, -3));
    assert_eq!(positive.bucket_counts, [0, 300]);
    assert!(exponential.negative.as_ref().unwrap().bucket_counts.is_empty());
    assert_eq!((exponential.zero_count, exponential.zero_threshold), (1, 0.25));
    let Some(metric::Data::Summary(summary)) = &metrics[4].data else {
        panic!("{:?}", metrics[4])
    };
    let quantile = &summary.data_points[0].quantile_values[0];
    assert_eq!((quantile.quantile, quantile.value), (0.99, 7.0));
}

#[test]
fn a_log_record_arrives() {
    let json = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{
        "timeUnixNano":"1","observedTimeUnixNano":"2","severityNumber":10,"severityText":"Information",
        "traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","flags":1,"eventName":"n",
        "body":{"stringValue":"Example log record"},"attributes":[],"droppedAttributesCount":null
    }]}]}]}"#;
    let request: ExportLogsServiceRequest = read(json, Signal::Logs);
    let record = &request.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!((record.time_unix_nano, record.observed_time_unix_nano), (1, 2));
    assert_eq!(
        (record.severity_number, record.severity_text.as_str()),
        (10, "Information")
    );
    assert_eq!((record.trace_id.len(), record.span_id.len()), (16, 8));
    assert_eq!((record.flags, record.event_name.as_str()), (1, "n"));
    assert_eq!(record.body, text("Example log record"));
}

#[test]
fn unknown_fields_and_nulls_are_passed_over() {
    let json = r#"{"futureField":{"deep":[1,{"x":null}]},"resourceSpans":[{"resource":null,"scopeSpans":[
        {"spans":[{"name":"n","attributes":null,"status":{},"new":true,
                   "trace_id":"not a name of JSON's"}]}]}]}"#;
    let request: ExportTraceServiceRequest = read(json, Signal::Traces);
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.name, "n");
    assert!(span.trace_id.is_empty());
    assert_eq!(
        read::<ExportTraceServiceRequest>("{}", Signal::Traces),
        ExportTraceServiceRequest::default()
    );
}

#[test]
fn what_does_not_fit_is_told_with_its_place_and_field() {
    let span = |fields: &str| {
        refused(&format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{fields}}}]}}]}}]}}"#
        ))
    };
    for (fields, named) in [
        (r#""kind":"SPAN_KIND_SERVER""#, "`kind`"),
        (r#""kind":3000000000"#, "`kind`"),
        (r#""startTimeUnixNano":"-1""#, "`startTimeUnixNano`"),
        (r#""startTimeUnixNano":"+1""#, "`startTimeUnixNano`"),
        (
            r#""startTimeUnixNano":"18446744073709551616""#,
            "`startTimeUnixNano`",
        ),
        (r#""startTimeUnixNano":1.5"#, "`startTimeUnixNano`"),
        (r#""traceId":"5B8""#, "`traceId`"),
        (r#""traceId":"zz""#, "`traceId`"),
        (r#""name":7"#, "`name`"),
        (r#""name":true"#, "`name`"),
        (r#""attributes":{}"#, "`attributes`"),
        (r#""attributes":[{"value":{"bytesValue":"***"}}]"#, "`bytesValue`"),
        (r#""attributes":[{"value":{"boolValue":"true"}}]"#, "`boolValue`"),
        (r#""status":[]"#, "an object"),
    ] {
        let error = span(fields);
        assert!(
            error.contains(named) && error.contains("line 1 column"),
            "{fields}: {error}"
        );
    }
    assert!(refused("{\"resourceSpans\":[").contains("EOF"));
    assert!(refused("{} {}").contains("trailing"));
    assert!(refused("[]").contains("an object"));
}

#[test]
fn nesting_without_end_is_refused_and_no_overflow() {
    let deep = r#"{"arrayValue":{"values":["#.repeat(10_000);
    let json = format!(r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"value":{deep}"#);
    assert!(refused(&json).contains("recursion"));
}

proptest::proptest! {
    #[test]
    fn a_double_keeps_every_bit(bits in proptest::prelude::any::<u64>()) {
        let double = f64::from_bits(bits);
        proptest::prop_assume!(double.is_finite());
        let json = format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"gauge":{{"dataPoints":[{{"asDouble":{double:?}}}]}}}}]}}]}}]}}"#
        );
        let protobuf = to_protobuf(json.as_bytes(), Signal::Metrics).unwrap();
        let expected = double.to_le_bytes();
        // It is the end of the message: a double is the only thing in it.
        proptest::prop_assert!(protobuf.ends_with(&expected), "{json}: {protobuf:x?}");
    }

    /// What is taken is protobuf, and what is not is an error; nothing panics.
    #[test]
    fn damaged_json_is_refused_or_becomes_protobuf(
        damage in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), 0_u8..128), 0..4),
    ) {
        let json = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":{"intValue":"7"}}]},
            "scopeSpans":[{"spans":[{"traceId":"0102","kind":2,"startTimeUnixNano":"5","status":{"code":1},
            "attributes":[{"key":"a","value":{"arrayValue":{"values":[{"doubleValue":1e3},{"bytesValue":"AQ=="}]}}}]
            }]}]}]}"#;
        let mut bytes = json.as_bytes().to_vec();
        for (index, byte) in damage {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(protobuf) = to_protobuf(&bytes, Signal::Traces) {
            proptest::prop_assert!(ExportTraceServiceRequest::decode(&*protobuf).is_ok());
        }
    }
}
