//! Operations to count the instructions of: each named `crate/operation/contender`, each done so often and
//! nothing else.
//!
//! The program `icount` runs one of them. `cargo xtask icount` runs it twice under callgrind, with two numbers of
//! rounds, and counts only within `counted`: set-up reads clocks until they agree, which takes as long as it
//! takes. The difference is the rounds' alone. Counts repeat, so they are what a regression check can stand on;
//! what they leave out is waiting for memory and for other threads.

mod operations;

use crate::Error;

/// Does an operation so often.
type Work = fn(contender: &str, rounds: u64) -> Result<(), Error>;

/// What is counted: callgrind is told this function's name, and counts from its begin to its end.
#[inline(never)]
pub(crate) fn counted<T>(work: impl FnOnce() -> T) -> T {
    std::hint::black_box(work())
}

/// One operation, and who can do it.
#[derive(Debug)]
struct Operation {
    /// `crate/operation`.
    name: &'static str,
    contenders: &'static [&'static str],
    work: Work,
}

/// All of them.
const OPERATIONS: [Operation; 7] = [
    Operation {
        name: "io-core/ready-pair-1KiB",
        contenders: crate::pairs::CONTENDERS,
        work: operations::ready_pair,
    },
    Operation {
        name: "pool/checkout",
        contenders: operations::POOLS,
        work: operations::pool_checkout,
    },
    Operation {
        name: "strategy/select-100",
        contenders: crate::workload::balancer::CONTENDERS,
        work: operations::select,
    },
    Operation {
        name: "balancer/request-100",
        contenders: &["peak_ewma", "power_of_two", "round_robin"],
        work: operations::request,
    },
    Operation {
        name: "stats/count-and-record",
        contenders: &["evenkeel", "evenkeel-counter-apart", "prometheus-client"],
        work: operations::count_and_record,
    },
    Operation {
        name: "stats/average-and-window",
        contenders: &["evenkeel-peak-ewma", "evenkeel-ewma", "evenkeel-success-window"],
        work: operations::average,
    },
    Operation {
        name: "health/breaker-closed",
        contenders: &["evenkeel", "failsafe"],
        work: operations::breaker,
    },
];

/// The names of all operations with their contenders.
pub fn names() -> Vec<String> {
    let of = |operation: &Operation| {
        let name = operation.name;
        operation
            .contenders
            .iter()
            .map(move |contender| format!("{name}/{contender}"))
    };
    OPERATIONS.iter().flat_map(of).collect()
}

/// Does one operation `rounds` times, on one thread.
///
/// # Errors
/// When there is none of that name, or it does not do what it should.
pub fn run(name: &str, rounds: u64) -> Result<(), Error> {
    // The same choices in every run, as far as they are ours.
    fastrand::seed(7);
    let found = name.rsplit_once('/').and_then(|(operation, contender)| {
        let found = OPERATIONS.iter().find(|known| known.name == operation)?;
        found
            .contenders
            .contains(&contender)
            .then_some((found, contender))
    });
    let Some((operation, contender)) = found else {
        let known = names();
        return Err(Error::unknown(
            "operation",
            name,
            known.iter().map(String::as_str),
        ));
    };
    (operation.work)(contender, rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_does_what_it_should() {
        let names = names();
        assert!(names.len() > 20);
        for name in names {
            run(&name, 20).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }

    #[test]
    fn a_wrong_name_lists_the_right_ones() {
        for name in ["pool/checkout/nobody", "pool/checkout", "nothing"] {
            let error = run(name, 1).unwrap_err().to_string();
            assert!(error.contains("pool/checkout/evenkeel"), "{error}");
        }
    }
}
