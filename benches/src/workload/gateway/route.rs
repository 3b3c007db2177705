//! Scenario `gateway-route`: what it costs to send each span where its trace goes.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use crate::otlp_split::{by_bytes, by_objects, request, trace_ids_last};
use crate::workload::Task;
use crate::{Error, Metrics, Report, process};

pub(in crate::workload) const CONTENDERS: &[&str] = &["evenkeel", "prost"];

/// A kind of request: what its figure is called, its spans, its resources, whether trace ids come last.
const KINDS: [(&str, usize, usize, bool); 3] = [
    ("batch_100", 100, 1, false),
    ("batch_1000", 1_000, 4, false),
    ("batch_1000_backwards", 1_000, 4, true),
];

/// Turns are short, and there are as many of each.
const TURN: Duration = Duration::from_millis(20);

/// Runs all contenders by turns.
pub(in crate::workload) fn run(task: &Task) -> Result<Report, Error> {
    let turns = task.params.required("turns")?.max(1);
    let mut report = Report::default();
    let contenders: Vec<&str> = task.contender.split(',').collect();
    for (kind, spans, resources, backwards) in KINDS {
        let mut body = Bytes::from(request(spans, resources).encode_to_vec());
        if backwards {
            body = trace_ids_last(&body).into();
        }
        let mut costs = vec![(Duration::ZERO, 0); contenders.len()];
        for turn in 0..=turns {
            for (name, (cpu, rounds)) in contenders.iter().zip(&mut costs) {
                let (took, done) = one_turn(name, &body)?;
                // The first is to warm up.
                if turn > 0 {
                    *cpu += took;
                    *rounds += done;
                }
            }
        }
        for (name, (cpu, rounds)) in contenders.iter().zip(costs) {
            let metrics = report
                .samples
                .entry((*name).to_owned())
                .or_insert_with(Metrics::default);
            metrics.set_rate(&format!("{kind}_spans"), rounds * spans, cpu);
        }
    }
    Ok(report)
}

/// Splits for a while: CPU time, and how often.
fn one_turn(contender: &str, body: &Bytes) -> Result<(Duration, usize), Error> {
    let split = match contender {
        "evenkeel" => by_bytes,
        _ => by_objects,
    };
    let start = process::cpu_time()?;
    let mut rounds = 0;
    loop {
        for _ in 0..16 {
            if black_box(split(black_box(body))) < body.len() {
                return Err(Error::Contender(format!("{contender} lost bytes")));
            }
        }
        rounds += 16;
        let took = process::cpu_time()?.saturating_sub(start);
        if took >= TURN {
            return Ok((took, rounds));
        }
    }
}
