//! The structure of the page: what a browser would stumble over.

use super::*;
use crate::claims;
use crate::record::fixture;

/// Elements without an end.
const VOID: [&str; 3] = ["meta", "br", "hr"];

fn page() -> String {
    let record = fixture::record(9.0);
    let claimed = claims::judge(&claims::all().expect("in order"), &record);
    render(&record, &claimed)
}

/// The tags of a page in their order: name, whole tag.
fn tags(page: &str) -> Vec<(&str, &str)> {
    let body = page.find("</style>").map_or(page, |at| &page[at..]);
    let starts = body.match_indices('<').map(|(at, _)| &body[at + 1..]);
    starts
        .filter_map(|rest| {
            let tag = &rest[..rest.find('>')?];
            let name = tag.split([' ', '/']).find(|word| !word.is_empty())?;
            Some((name, tag))
        })
        .collect()
}

/// The first tag that is closed by none or another.
fn unbalanced(page: &str) -> Option<String> {
    let mut open = vec!["html", "head", "style"];
    for (name, tag) in tags(page) {
        if tag.starts_with('/') {
            let last = open.pop()?;
            if last != name {
                return Some(format!("</{name}> closes <{last}>"));
            }
        } else if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
    }
    (!open.is_empty()).then(|| format!("{open:?} is left open"))
}

#[test]
fn every_tag_is_closed_by_its_own() {
    assert_eq!(unbalanced(&page()), None);
    // The check itself finds what it should.
    let broken = page().replacen("</figure>", "", 1);
    assert!(unbalanced(&broken).is_some());
}

#[test]
fn the_page_fetches_nothing_and_runs_nothing() {
    let page = page();
    for word in [
        "http:", "https:", "src=", "url(", "@import", "<script", "<link", "onload", "<iframe",
    ] {
        assert!(!page.contains(word), "{word} is in the page");
    }
}

#[test]
fn every_plot_has_data_and_every_number_is_one() {
    let page = page();
    let plots: Vec<&str> = page
        .split("<svg ")
        .skip(1)
        .filter_map(|rest| rest.split("</svg>").next())
        .collect();
    // A distribution, two rates as bars, a series, a curve over threads.
    assert_eq!(plots.len(), 5);
    for plot in plots {
        assert!(plot.contains("class=\"mark"), "{plot}");
        assert!(!plot.contains("NaN") && !plot.contains("inf"), "{plot}");
    }
    // Three contenders in each: two boxes for a distribution, a bar or a line for the rest.
    assert_eq!(page.matches("class=\"mark").count(), 3 * 2 + 3 * 2 + 3 + 3);
}

#[test]
fn summary_machine_versions_command_and_tables_are_there() {
    let page = page();
    for part in [
        "<title>evenkeel: measured 2026-11-23T17:00:00Z</title>",
        "<code>cargo xtask bench</code>",
        "linux",
        "tokio 1.47.0",
        "<b>0</b>claims hold against the naive way",
        "not measured: `pool` did not run",
        "href=\"#io\"",
        "fewer &amp; faster",
        "connections &lt;open&gt;",
        "prefers-color-scheme: dark",
        "name=\"viewport\"",
        "what evenkeel is",
    ] {
        assert!(page.contains(part), "{part} is not in the page");
    }
    assert!(!page.contains("A quick run"));
}

#[test]
fn a_run_that_is_quick_broken_or_empty_still_makes_a_page() {
    let mut record = fixture::record(9.0);
    record.quick = true;
    record.error = Some("the runner died <badly>".to_owned());
    record.scenarios[0]
        .samples
        .retain(|sample| sample.contender == "naive" && sample.repeat == 0);
    for sample in &mut record.scenarios[0].samples {
        sample.metrics.insert("rate".to_owned(), Some(f64::NAN));
        sample.distributions.insert("wait".to_owned(), vec![[0.5, 0.0]]);
    }
    let page = render(&record, &[]);
    assert_eq!(unbalanced(&page), None);
    assert!(page.contains("A quick run") && page.contains("died &lt;badly&gt;"));
    assert!(!page.contains("NaN"));
    assert_eq!(unbalanced(&render(&Record::default(), &[])), None);
}

#[test]
fn criterions_groups_have_a_part_of_their_own() {
    let mut record = fixture::record(9.0);
    let mut group = record.scenarios[0].clone();
    group.plan.name = "micro/pool/alone".to_owned();
    record.scenarios.push(group);
    let page = render(&record, &[]);
    assert_eq!(unbalanced(&page), None);
    assert!(page.contains("id=\"micro\"") && page.contains("<h3>pool/alone</h3>"));
}
