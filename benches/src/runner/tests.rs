//! What is run, and in which order.

use super::*;

fn options(scenarios: &[&str], contenders: &[&str]) -> Options {
    let owned = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect();
    Options {
        scenarios: owned(scenarios),
        contenders: owned(contenders),
        ..Options::default()
    }
}

#[test]
fn the_plan_counts_the_steps() {
    let Event::Plan { scenarios } = plan(&options(&["io"], &["naive", "raw-tokio"])).unwrap() else {
        panic!("not a plan");
    };
    let names: Vec<&str> = scenarios[0].contenders.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["raw-tokio", "naive"], "in the order of the file");
    assert_eq!(scenarios[0].steps, scenarios[0].repeats * 2);
}

#[test]
fn the_repeats_of_a_scenario_are_spread_over_the_run() {
    assert_eq!(
        turns(&[1, 4, 2]),
        [(1, 0), (2, 0), (1, 1), (0, 0), (1, 2), (2, 1), (1, 3)]
    );
    assert_eq!(turns(&[1, 1]), [(0, 0), (1, 0)], "else in the order of the plan");
    assert_eq!(turns(&[]), []);
}

#[test]
fn scenarios_without_the_contender_are_left_out() {
    let Event::Plan { scenarios } = plan(&options(&[], &["connect-each"])).unwrap() else {
        panic!("not a plan");
    };
    assert_eq!(scenarios.len(), 1);
}

#[test]
fn a_number_on_the_command_line_takes_the_place_of_the_sizes_own() {
    let planned = |size: &str| {
        plan(&Options {
            size: size.parse().unwrap(),
            ..options(&["io", "io-pair"], &[])
        })
    };
    let Event::Plan { scenarios } = planned("rounds=3").unwrap() else {
        panic!("not a plan");
    };
    assert!(scenarios[0].size.contains("rounds=3") && !scenarios[1].size.contains("rounds"));
    let error = planned("around=3").unwrap_err().to_string();
    assert!(error.contains("'around'") && error.contains("rounds"), "{error}");
}

#[test]
fn against_a_server_elsewhere_only_those_run_that_talk_to_one() {
    let planned = |names: &[&str]| {
        plan(&Options {
            connect: Some(crate::server::LOOPBACK),
            ..options(names, &[])
        })
    };
    let Event::Plan { scenarios } = planned(&[]).unwrap() else {
        panic!("not a plan");
    };
    let names: Vec<&str> = scenarios.iter().map(|s| s.name.as_str()).collect();
    assert!(names.contains(&"io") && !names.contains(&"balancer"), "{names:?}");
    let error = planned(&["io", "balancer"]).unwrap_err().to_string();
    assert!(error.contains("'balancer' talks to no server"), "{error}");
}

#[test]
fn without_the_gateways_binary_only_those_run_that_do_not_start_it() {
    let planned = |names: &[&str], evenkeel: Option<&str>| {
        plan(&Options {
            evenkeel: evenkeel.map(PathBuf::from),
            ..options(names, &[])
        })
    };
    let names = |event| {
        let Event::Plan { scenarios } = event else {
            panic!("not a plan");
        };
        let names = scenarios.into_iter().map(|s| s.name);
        names.collect::<Vec<String>>()
    };
    let all = names(planned(&[], Some("evenkeel")).unwrap());
    let some = names(planned(&[], None).unwrap());
    assert!(all.iter().any(|name| name == "gateway") && !some.iter().any(|name| name == "gateway"));
    assert!(some.iter().any(|name| name == "gateway-route"));
    let error = planned(&["gateway"], None).unwrap_err().to_string();
    assert!(error.contains("'gateway' needs --evenkeel"), "{error}");
}

#[test]
fn a_program_that_is_not_there_takes_no_part_and_it_is_said_how_to_get_it() {
    let options = Options {
        evenkeel: Some(PathBuf::from("evenkeel")),
        ..options(&["gateway-faults"], &[])
    };
    let notes = missing(&options);
    let there = |program: &str| installed(program).is_some();
    for program in ["envoy", "haproxy", "nginx"] {
        let noted = notes.iter().any(|note| {
            matches!(note, Event::Note { text, .. } if text.contains(program) && text.contains("install"))
        });
        assert_eq!(noted, !there(program), "{program}");
    }
}

#[test]
fn without_peers_ours_and_the_naive_ones_are_left() {
    let named = |peers: &str| {
        let planned = plan(&Options {
            peers: peers.parse().unwrap(),
            ..options(&["io"], &[])
        });
        let Event::Plan { scenarios } = planned? else {
            panic!("not a plan");
        };
        let contenders = scenarios.into_iter().flat_map(|s| s.contenders);
        Ok::<Vec<String>, Error>(contenders.map(|c| c.name).collect())
    };
    assert_eq!(named("none").unwrap(), ["evenkeel", "naive"]);
    assert_eq!(named("hyper-util").unwrap(), ["evenkeel", "hyper-util", "naive"]);
    assert_eq!(named("all").unwrap().len(), 5);
    let error = named("hyper-util,naive").unwrap_err().to_string();
    assert!(
        error.contains("no peer 'naive'") && error.contains("raw-tokio"),
        "{error}"
    );
}

#[test]
fn wrong_names_list_the_right_ones() {
    let error = plan(&options(&["io"], &["nobody"])).unwrap_err().to_string();
    assert!(
        error.contains("'nobody'") && error.contains("hyper-util, naive"),
        "{error}"
    );
    assert!(
        plan(&Options {
            repeats: Some(0),
            ..Options::default()
        })
        .is_err()
    );
}

#[test]
fn the_order_rotates_and_everyone_runs_once() {
    let io = scenario::named("io").unwrap();
    let firsts: BTreeSet<String> = (0..9).map(|r| groups(&io, r)[0][0].clone()).collect();
    assert_eq!(firsts.len(), io.contenders.len());
    let pair = scenario::named("io-pair").unwrap();
    assert_eq!(groups(&pair, 1), [pair.contender_names()]);
}

#[test]
fn a_size_beyond_the_limit_shrinks_and_says_so() {
    let mut io = scenario::named("io").unwrap();
    assert_eq!(shrink(&mut io, false, 20_000), None);
    let text = shrink(&mut io, false, 500).unwrap();
    let left = io.full.params.required("connections").unwrap();
    assert!(
        left < 500 && text.contains(&format!("{left} connections instead of 1000")),
        "{text}"
    );
}

#[test]
fn figures_nobody_can_look_up_are_refused() {
    let io = scenario::named("io").unwrap();
    let report = |name: &str, value: f64| {
        let mut metrics = crate::Metrics::default();
        metrics.set(name, value);
        Report::of("raw-tokio", metrics)
    };
    assert!(check(&io, &report("connect_p50", 1.0)).is_ok());
    assert!(check(&io, &report("connect_p50", f64::NAN)).is_err());
    assert!(check(&io, &report("charm", 1.0)).is_err());
    let mut followed = crate::Metrics::default();
    followed.set("connect_p50", 1.0);
    followed.set_series("charm", [[0.0, 1.0]]);
    assert!(check(&io, &Report::of("raw-tokio", followed)).is_err());
    assert!(check(&io, &Report::of("raw-tokio", crate::Metrics::default())).is_err());
}
