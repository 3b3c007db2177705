//! Runs scenarios, step by step, and reports each step as an [`Event`].

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use crate::child::{Children, Server};
use crate::process::installed;
use crate::protocol::{Contender, Event, Role};
use crate::scenario::{self, Params, Scenario};
use crate::{Error, Report};

/// Descriptors a child needs beside its connections: its standard ones, its runtime's, and a reserve.
const SPARE_DESCRIPTORS: u64 = 64;

/// What to run, as the command line says it.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Names of scenarios; none means all.
    pub scenarios: Vec<String>,
    /// The size that ends in seconds.
    pub quick: bool,
    /// How often each contender runs, in place of what the scenario says.
    pub repeats: Option<u32>,
    /// Names of contenders; none means all.
    pub contenders: Vec<String>,
    /// Which peers take part beside ours and the naive ones.
    pub peers: Peers,
    /// A server that runs elsewhere. Only scenarios that talk to one take part.
    pub connect: Option<SocketAddr>,
    /// The binary `evenkeel`. Without it those scenarios take no part that start it.
    pub evenkeel: Option<PathBuf>,
    /// Numbers in place of the sizes' own; a scenario that does not know one goes without it.
    pub size: Params,
}

/// Which of the peers take part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Peers {
    /// All of them.
    #[default]
    All,
    /// Those of these names; none means nobody.
    Only(Vec<String>),
}

impl FromStr for Peers {
    type Err = Error;

    /// `all`, `none`, or names with commas between.
    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(match text {
            "all" => Self::All,
            "none" => Self::Only(Vec::new()),
            names => Self::Only(names.split(',').map(|name| name.trim().to_owned()).collect()),
        })
    }
}

impl Peers {
    fn include(&self, contender: &Contender) -> bool {
        match self {
            Self::Only(names) if contender.role == Role::Peer => names.contains(&contender.name),
            _ => true,
        }
    }
}

/// A scenario as it will run: reduced to the contenders that were asked for.
#[derive(Debug)]
struct Job {
    scenario: Scenario,
    repeats: u32,
}

/// Where events go.
type Sink<'a> = &'a mut dyn FnMut(Event) -> Result<(), Error>;

/// The plan of a run, without running it.
///
/// # Errors
/// When a name does not exist.
pub fn plan(options: &Options) -> Result<Event, Error> {
    let jobs = jobs(options)?;
    Ok(Event::Plan {
        scenarios: jobs
            .iter()
            .map(|job| job.scenario.planned(options.quick, job.repeats))
            .collect(),
    })
}

fn jobs(options: &Options) -> Result<Vec<Job>, Error> {
    let mut scenarios = if options.scenarios.is_empty() {
        scenario::all()?
    } else {
        options
            .scenarios
            .iter()
            .map(|name| scenario::named(name))
            .collect::<Result<_, _>>()?
    };
    if options.connect.is_some() {
        let alone = scenarios.iter().find(|scenario| scenario.server.is_none());
        if let Some(alone) = alone.filter(|_| !options.scenarios.is_empty()) {
            return Err(Error::Usage(format!(
                "scenario '{}' talks to no server, so it can not be run against one elsewhere",
                alone.name
            )));
        }
        scenarios.retain(|scenario| scenario.server.is_some());
    }
    if options.evenkeel.is_none() {
        let needing = scenarios.iter().find(|scenario| scenario.needs_evenkeel);
        if let Some(needing) = needing.filter(|_| !options.scenarios.is_empty()) {
            return Err(Error::Usage(format!(
                "scenario '{}' needs --evenkeel PATH, the gateway's binary",
                needing.name
            )));
        }
        scenarios.retain(|scenario| !scenario.needs_evenkeel);
    }
    check_names(&scenarios, options)?;
    if options.repeats == Some(0) {
        return Err(Error::Usage("a run needs at least one repeat".to_owned()));
    }
    for (name, value) in options.size.iter() {
        let mut known = false;
        for scenario in &mut scenarios {
            for size in [&mut scenario.full, &mut scenario.quick] {
                if size.params.optional(name).is_some() {
                    size.params.set(name, value);
                    known = true;
                }
            }
        }
        if !known {
            let all = scenarios.iter().flat_map(|scenario| scenario.full.params.iter());
            let all: BTreeSet<&str> = all.map(|(name, _)| name).collect();
            return Err(Error::unknown("parameter", name, all));
        }
    }
    for scenario in &mut scenarios {
        scenario.contenders.retain(|contender| {
            let named = options.contenders.is_empty() || options.contenders.contains(&contender.name);
            let there = contender
                .program
                .as_deref()
                .is_none_or(|program| installed(program).is_some());
            named && there && options.peers.include(contender)
        });
    }
    scenarios.retain(|scenario| !scenario.contenders.is_empty());
    let job = |scenario: Scenario| {
        let repeats = options.repeats.unwrap_or(scenario.size(options.quick).repeats);
        Job { scenario, repeats }
    };
    Ok(scenarios.into_iter().map(job).collect())
}

/// A note for each contender whose program is not there, with how to install it.
fn missing(options: &Options) -> Vec<Event> {
    let runs = |scenario: &Scenario| {
        let named = options.scenarios.is_empty() || options.scenarios.contains(&scenario.name);
        let possible = !scenario.needs_evenkeel || options.evenkeel.is_some();
        named && possible && options.connect.is_none()
    };
    let mut notes = Vec::new();
    for scenario in scenario::all()
        .unwrap_or_default()
        .iter()
        .filter(|scenario| runs(scenario))
    {
        for contender in &scenario.contenders {
            let named = options.contenders.is_empty() || options.contenders.contains(&contender.name);
            let (Some(program), true) = (&contender.program, named && options.peers.include(contender))
            else {
                continue;
            };
            if installed(program).is_none() {
                let how = contender.install.as_deref().unwrap_or("see its pages");
                notes.push(Event::Note {
                    scenario: scenario.name.clone(),
                    text: format!(
                        "{} takes no part: {program} is not installed ({how})",
                        contender.name
                    ),
                });
            }
        }
    }
    notes
}

/// Every name of a contender or a peer is one of these scenarios'.
fn check_names(scenarios: &[Scenario], options: &Options) -> Result<(), Error> {
    let all = || scenarios.iter().flat_map(|scenario| &scenario.contenders);
    let known: BTreeSet<&str> = all().map(|c| c.name.as_str()).collect();
    let unknown = |names: &[String], known: &BTreeSet<&str>| {
        names.iter().find(|name| !known.contains(name.as_str())).cloned()
    };
    if let Some(wrong) = unknown(&options.contenders, &known) {
        return Err(Error::unknown("contender", &wrong, known));
    }
    if let Peers::Only(names) = &options.peers {
        let peers = all().filter(|c| c.role == Role::Peer).map(|c| c.name.as_str());
        let peers: BTreeSet<&str> = peers.collect();
        if let Some(wrong) = unknown(names, &peers) {
            return Err(Error::unknown("peer", &wrong, peers));
        }
    }
    Ok(())
}

/// Runs everything that was asked for. Steps that fail are events; the run goes on.
///
/// # Errors
/// When a name does not exist, or the events cannot be delivered.
pub async fn run(
    options: &Options,
    children: &Children,
    descriptors: u64,
    emit: Sink<'_>,
) -> Result<(), Error> {
    let mut jobs = jobs(options)?;
    emit(plan(options)?)?;
    for text in missing(options) {
        emit(text)?;
    }
    for job in &mut jobs {
        let name = job.scenario.name.clone();
        for text in std::mem::take(&mut job.scenario.notes) {
            emit(Event::Note {
                scenario: name.clone(),
                text,
            })?;
        }
        if let Some(text) = shrink(&mut job.scenario, options.quick, descriptors) {
            emit(Event::Note { scenario: name, text })?;
        }
    }
    let repeats: Vec<u32> = jobs.iter().map(|job| job.repeats).collect();
    let mut notes = vec![BTreeSet::new(); jobs.len()];
    for (which, repeat) in turns(&repeats) {
        let scenario = &jobs[which].scenario;
        for group in groups(scenario, repeat) {
            let notes = &mut notes[which];
            step(scenario, options, repeat, &group, children, notes, emit).await?;
        }
    }
    emit(Event::Done)
}

/// The order of all repeats, as scenario and repeat. Those of each scenario are spread evenly over the whole run:
/// one after the other they would all meet the same mood of the machine, and would agree with one another more than
/// with the next run.
fn turns(repeats: &[u32]) -> Vec<(usize, u32)> {
    let of = |(scenario, &count): (usize, &u32)| (0..count).map(move |repeat| (scenario, repeat));
    let mut turns: Vec<(usize, u32)> = repeats.iter().enumerate().flat_map(of).collect();
    // The middle of each repeat's share of the run, as (2 repeat + 1) / (2 count), without the division.
    let middle = |(_, repeat): (usize, u32), count: u32| (2 * u64::from(repeat) + 1) * u64::from(count);
    turns.sort_by(|&a, &b| middle(a, repeats[b.0]).cmp(&middle(b, repeats[a.0])));
    turns
}

/// The contenders of one repeat in their order, grouped by process. The order rotates, so that none of them
/// always follows the same other or always comes first.
fn groups(scenario: &Scenario, repeat: u32) -> Vec<Vec<String>> {
    let mut names: Vec<String> = scenario.contenders.iter().map(|c| c.name.clone()).collect();
    if scenario.together {
        return vec![names];
    }
    let first = usize::try_from(repeat).unwrap_or(0) % names.len().max(1);
    names.rotate_left(first);
    names.into_iter().map(|name| vec![name]).collect()
}

/// Lowers the number of connections to what the limit on descriptors allows, and says so.
fn shrink(scenario: &mut Scenario, quick: bool, descriptors: u64) -> Option<String> {
    let size = if quick {
        &mut scenario.quick
    } else {
        &mut scenario.full
    };
    let wanted = size.params.optional("connections")?;
    let warm_up = size.params.optional("warm_up").unwrap_or(0);
    let possible = descriptors.saturating_sub(SPARE_DESCRIPTORS + warm_up).max(1);
    if wanted <= possible {
        return None;
    }
    size.params.set("connections", possible);
    Some(format!(
        "{possible} connections instead of {wanted}: this process may open {descriptors} descriptors (see ulimit -Hn)"
    ))
}

/// One child process: one contender, or all of them where they share one.
async fn step(
    scenario: &Scenario,
    options: &Options,
    repeat: u32,
    group: &[String],
    children: &Children,
    notes: &mut BTreeSet<String>,
    emit: Sink<'_>,
) -> Result<(), Error> {
    for name in group {
        let about = scenario
            .contender(name)
            .map(|c| c.about.clone())
            .unwrap_or_default();
        emit(Event::Step {
            scenario: scenario.name.clone(),
            contender: name.clone(),
            repeat,
            about,
        })?;
    }
    let outcome = measure(scenario, options, group, children).await;
    for text in outcome.iter().flat_map(|report| &report.notes) {
        // The same hint once is enough.
        if notes.insert(text.clone()) {
            emit(Event::Note {
                scenario: scenario.name.clone(),
                text: text.clone(),
            })?;
        }
    }
    for name in group {
        let (scenario, contender) = (scenario.name.clone(), name.clone());
        let sample = outcome.as_ref().map(|report| report.samples.get(name));
        emit(match sample {
            Ok(Some(metrics)) => Event::Sample {
                scenario,
                contender,
                repeat,
                metrics: metrics.clone(),
            },
            Ok(None) => Event::Failed {
                scenario,
                contender,
                repeat,
                error: "was not measured".to_owned(),
            },
            Err(e) => Event::Failed {
                scenario,
                contender,
                repeat,
                error: e.to_string(),
            },
        })?;
    }
    Ok(())
}

async fn measure(
    scenario: &Scenario,
    options: &Options,
    group: &[String],
    children: &Children,
) -> Result<Report, Error> {
    let (size, elsewhere) = (scenario.size(options.quick), options.connect);
    let server: Option<Server> = match scenario.server {
        Some(kind) if elsewhere.is_none() => Some(children.serve(kind).await?),
        _ => None,
    };
    let addr = elsewhere.or_else(|| server.as_ref().map(Server::addr));
    let report = children
        .contender(
            scenario.workload(),
            &group.join(","),
            &size.params,
            addr,
            size.limit(),
        )
        .await?;
    check(scenario, &report)?;
    if let Some(server) = server {
        server.stop().await?;
    }
    Ok(report)
}

/// A figure that is not a number, or that nobody can look up, is worse than none.
fn check(scenario: &Scenario, report: &Report) -> Result<(), Error> {
    for (contender, metrics) in &report.samples {
        for (name, value) in metrics.iter() {
            if !value.is_finite() || !scenario.metrics.iter().any(|m| m.name == name) {
                return Err(Error::Child(format!(
                    "{contender} reported {name} = {value}, which makes no sense"
                )));
            }
        }
        if let Some(name) = metrics
            .series()
            .find(|name| !scenario.series.iter().any(|series| series.name == *name))
        {
            return Err(Error::Child(format!(
                "{contender} followed {name}, which the scenario does not know"
            )));
        }
        if !metrics.curves_are_finite() {
            return Err(Error::Child(format!(
                "{contender} reported a curve with a point that is no number"
            )));
        }
        if metrics.iter().next().is_none() {
            return Err(Error::Child(format!("{contender} reported nothing")));
        }
    }
    Ok(())
}
