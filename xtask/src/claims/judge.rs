//! Claims against a run.

use super::{Claim, Expect, Shown};
use crate::number;
use crate::record::interval::LEAST;
use crate::record::statistics::Summary;
use crate::record::{Better, Part, Record};

/// What a run says of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It does what the report says.
    Holds,
    /// It does not.
    Fails,
    /// The spread is too wide to tell.
    Open,
    /// There is nothing to tell from, and why.
    NotMeasured(String),
}

impl Verdict {
    /// As it stands in tables.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Holds => "holds".to_owned(),
            Self::Fails => "does not hold".to_owned(),
            Self::Open => "open: the spread is too wide to tell".to_owned(),
            Self::NotMeasured(why) => format!("not measured: {why}"),
        }
    }

    /// One word for it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::Open => "open",
            Self::NotMeasured(_) => "missing",
        }
    }
}

/// How ours stands against another, by the whole interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Better, whatever the spread.
    Better,
    /// Worse, whatever the spread.
    Worse,
    /// The spread is on both sides.
    Alike,
}

impl Side {
    fn of(ratio: &Summary, higher_is_better: bool) -> Self {
        let [low, high] = ratio.spread();
        match (low > 1.0, high < 1.0) {
            (true, _) if higher_is_better => Self::Better,
            (_, true) if !higher_is_better => Self::Better,
            (true, _) | (_, true) => Self::Worse,
            _ => Self::Alike,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Alike => "alike",
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Claimed {
    /// Its name.
    pub(crate) name: String,
    /// What the report says, or what is asked for.
    pub(crate) text: String,
    /// Whether it is a bar of the project's own, no claim of the report.
    pub(crate) own: bool,
    /// What must come out.
    pub(crate) expected: String,
    /// Against the naive way; the figure itself where none is to be held against it.
    pub(crate) naive: String,
    /// Against the best peer.
    pub(crate) peer: String,
    /// The same in one word, where there is a peer.
    pub(crate) peer_side: Option<Side>,
    /// The scenario and its metric.
    pub(crate) place: String,
    /// What it comes to.
    pub(crate) verdict: Verdict,
}

/// Holds claims against a run.
pub(crate) fn judge(claims: &[Claim], record: &Record) -> Vec<Claimed> {
    claims.iter().map(|claim| one(claim, record)).collect()
}

fn one(claim: &Claim, record: &Record) -> Claimed {
    let mut row = Claimed {
        name: claim.name.clone(),
        text: claim.text.clone(),
        own: claim.own,
        expected: "—".to_owned(),
        naive: "—".to_owned(),
        peer: "—".to_owned(),
        peer_side: None,
        place: "—".to_owned(),
        verdict: Verdict::NotMeasured(claim.missing.clone().unwrap_or_default()),
    };
    let Ok(shown) = claim.shown() else { return row };
    row.place = format!("{} {}", shown.scenario, shown.metric);
    row.expected = expected(shown.expect, shown.naive);
    let part = record
        .part(shown.scenario)
        .filter(|part| !part.samples.is_empty());
    let Some(part) = part else {
        row.verdict = Verdict::NotMeasured(format!("`{}` did not run", shown.scenario));
        return row;
    };
    let naive = shown
        .naive
        .and_then(|naive| Some((naive, part.ratio_to(shown.ours, naive, shown.metric)?)));
    let value = part.summary(shown.ours, shown.metric);
    if let Some((naive, ratio)) = &naive {
        row.naive = against(ratio, naive);
    } else if let Some(value) = &value {
        row.naive = alone(value);
    }
    let peer = best_peer(part, shown, &claim.peers);
    if let Some((name, ratio)) = &peer {
        let side = Side::of(ratio, is_higher_better(part, shown));
        row.peer = format!("{}: {}", side.word(), against(ratio, name));
        row.peer_side = Some(side);
    }
    let told = match shown.expect {
        Expect::RatioLeast(_) | Expect::RatioMost(_) => naive.map(|(_, ratio)| ratio),
        Expect::PeerLeast(_) => peer.map(|(_, ratio)| ratio),
        Expect::ValueLeast(_) | Expect::ValueMost(_) => value,
    };
    row.verdict = told.map_or_else(
        || Verdict::NotMeasured("it gave no figures".to_owned()),
        |told| verdict(shown.expect, &told),
    );
    row
}

/// Whole interval on one side, or open.
fn verdict(expect: Expect, told: &Summary) -> Verdict {
    if let Expect::ValueMost(most) = expect {
        // One repeat suffices to break it, and however many hold are all there is to say that it does.
        return if told.max <= most {
            Verdict::Holds
        } else {
            Verdict::Fails
        };
    }
    let Some([low, high]) = told.interval else {
        return Verdict::NotMeasured(format!("{} of at least {LEAST} repeats", told.samples));
    };
    let (holds, fails) = match expect {
        Expect::RatioLeast(least) | Expect::PeerLeast(least) | Expect::ValueLeast(least) => {
            (low >= least, high < least)
        }
        Expect::RatioMost(most) | Expect::ValueMost(most) => (high <= most, low > most),
    };
    match (holds, fails) {
        (true, _) => Verdict::Holds,
        (_, true) => Verdict::Fails,
        _ => Verdict::Open,
    }
}

/// The peer with the best median, and ours over it.
fn best_peer<'a>(part: &Part, shown: Shown<'_>, peers: &'a [String]) -> Option<(&'a str, Summary)> {
    let measured = peers
        .iter()
        .filter_map(|peer| Some((peer.as_str(), part.summary(peer, shown.metric)?.median)));
    let best = if is_higher_better(part, shown) {
        measured.max_by(|a, b| a.1.total_cmp(&b.1))
    } else {
        measured.min_by(|a, b| a.1.total_cmp(&b.1))
    };
    let (name, _) = best?;
    Some((name, part.ratio_to(shown.ours, name, shown.metric)?))
}

fn is_higher_better(part: &Part, shown: Shown<'_>) -> bool {
    let metric = part.plan.metric(shown.metric);
    metric.is_some_and(|metric| metric.better == Better::Higher)
}

/// What must come out, in words.
fn expected(expect: Expect, naive: Option<&str>) -> String {
    let naive = naive.unwrap_or("—");
    match expect {
        Expect::RatioLeast(least) => format!("at least {} × {naive}", number::figure(least)),
        Expect::RatioMost(most) => format!("at most {} × {naive}", number::figure(most)),
        Expect::PeerLeast(least) => format!("at least {} × the best peer", number::figure(least)),
        Expect::ValueLeast(least) => format!("at least {}", number::figure(least)),
        Expect::ValueMost(most) => format!("at most {}", number::figure(most)),
    }
}

/// A figure with its spread.
fn alone(value: &Summary) -> String {
    let [low, high] = value.spread().map(number::figure);
    format!("{} ({low} .. {high})", number::figure(value.median))
}

/// A ratio with its spread, and to whom.
fn against(ratio: &Summary, whom: &str) -> String {
    let [low, high] = ratio.spread().map(number::ratio);
    format!("{} ({low} .. {high}) × {whom}", number::ratio(ratio.median))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture;

    fn claim(metric: &str, expect: Expect) -> Claim {
        Claim {
            name: "speed".to_owned(),
            scenario: Some("io".to_owned()),
            metric: Some(metric.to_owned()),
            ours: Some("evenkeel".to_owned()),
            naive: Some("naive".to_owned()),
            peers: vec!["raw-tokio".to_owned()],
            expect: Some(expect),
            ..Claim::default()
        }
    }

    fn judged(metric: &str, expect: Expect, wait: f64) -> Claimed {
        one(&claim(metric, expect), &fixture::record(wait))
    }

    #[test]
    fn a_claim_holds_or_not_by_the_whole_interval() {
        let verdict = |expect, wait| judged("wait_p50", expect, wait).verdict;
        assert_eq!(verdict(Expect::RatioMost(0.5), 9.0), Verdict::Holds);
        assert_eq!(verdict(Expect::RatioMost(0.5), 80.0), Verdict::Fails);
        assert_eq!(verdict(Expect::RatioLeast(0.5), 80.0), Verdict::Holds);
        assert_eq!(verdict(Expect::ValueLeast(100.0), 80.0), Verdict::Fails);
        // Between the least and the most of the samples: the run does not tell.
        assert_eq!(verdict(Expect::ValueLeast(80.4), 80.0), Verdict::Open);
    }

    #[test]
    fn what_must_never_be_is_judged_by_the_worst_repeat_however_few_there_are() {
        let mut record = fixture::record(9.0);
        record.scenarios[0].samples.retain(|sample| sample.repeat < 2);
        let verdict = |most| one(&claim("wait_p50", Expect::ValueMost(most)), &record).verdict;
        // 9.0 in one repeat and 9.09 in the other.
        assert_eq!(verdict(9.1), Verdict::Holds);
        assert_eq!(verdict(9.05), Verdict::Fails);
    }

    #[test]
    fn a_bar_against_the_best_peer_takes_the_best_there_is() {
        let mut bar = claim("rate", Expect::PeerLeast(1.0));
        bar.naive = None;
        bar.peers.push("naive".to_owned());
        let row = |wait| one(&bar, &fixture::record(wait));
        assert_eq!(row(9.0).verdict, Verdict::Holds);
        assert_eq!(row(12.0).verdict, Verdict::Fails);
        assert!(row(9.0).peer.ends_with("× raw-tokio"), "{}", row(9.0).peer);
        assert!(
            !row(9.0).naive.contains('×'),
            "the figure itself: {}",
            row(9.0).naive
        );
    }

    #[test]
    fn the_row_names_the_best_peer_the_way_the_metric_is_better() {
        let row = judged("wait_p50", Expect::RatioMost(0.5), 9.0);
        assert_eq!(row.naive, "0.090 (0.090 .. 0.090) × naive");
        assert_eq!(row.peer, "better: 0.900 (0.900 .. 0.900) × raw-tokio");
        assert_eq!(row.peer_side, Some(Side::Better));
        assert!(
            judged("wait_p50", Expect::RatioMost(0.5), 12.0)
                .peer
                .starts_with("worse: 1.2")
        );
        assert!(
            judged("rate", Expect::RatioMost(0.5), 12.0)
                .peer
                .starts_with("worse: 0.75")
        );
        assert!(
            judged("wait_p50", Expect::RatioMost(0.5), 10.0)
                .peer
                .starts_with("alike: 1.0")
        );
        assert_eq!(
            (row.place.as_str(), row.expected.as_str()),
            ("io wait_p50", "at most 0.5 × naive")
        );
        let mut both = claim("rate", Expect::RatioLeast(1.0));
        both.peers.push("naive".to_owned());
        assert!(one(&both, &fixture::record(9.0)).peer.ends_with("× raw-tokio"));
    }

    #[test]
    fn what_did_not_run_is_not_measured_and_says_why() {
        let says = |row: Claimed| row.verdict.words();
        let mut record = fixture::record(9.0);
        record.scenarios[0].samples.retain(|sample| sample.repeat < 3);
        let few = one(&claim("rate", Expect::RatioLeast(1.0)), &record);
        assert!(says(few).contains("3 of at least 5 repeats"));
        record.scenarios[0]
            .samples
            .retain(|sample| sample.contender != "naive");
        let nobody = one(&claim("rate", Expect::RatioLeast(1.0)), &record);
        assert!(says(nobody).contains("no figures"));
        record.scenarios.clear();
        let nothing = one(&claim("rate", Expect::RatioLeast(1.0)), &record);
        assert!(says(nothing).contains("`io` did not run"));
        let missing = Claim {
            missing: Some("no scenario".to_owned()),
            ..Claim::default()
        };
        assert_eq!(
            says(one(&missing, &fixture::record(9.0))),
            "not measured: no scenario"
        );
    }
}
