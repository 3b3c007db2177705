//! `pool-count CONTENDER LOANS`: so many checkouts and returns, and nothing else, for counting instructions.
//!
//! Run it twice under `valgrind --tool=callgrind`, with 10 000 and with 510 000 loans: the difference divided by
//! 500 000 is one loan, whatever the process costs beside. (With fewer loans that does not cancel out: a clock is
//! calibrated at the start, which takes a million instructions more or less.)

use std::process::ExitCode;

use evenkeel_benches::Error;
use evenkeel_benches::pools::{Bb8, Deadpool, Evenkeel, Numbers, Pool, one_by_one};

/// Idle connections.
const SIZE: usize = 16;

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            // With standard error gone there is nobody left to tell.
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("error: {e}\n"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: Vec<String>) -> Result<(), Error> {
    let usage = || Error::Usage("pool-count CONTENDER LOANS".to_owned());
    let [contender, loans] = args.try_into().map_err(|_| usage())?;
    let loans = loans.parse().map_err(|_| usage())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Io {
            what: "cannot start the runtime",
            source,
        })?;
    runtime.block_on(async {
        let source = Numbers::default();
        match contender.as_str() {
            "evenkeel" => lend(Evenkeel::of(source, SIZE, SIZE).await?, loans).await,
            "deadpool" => lend(Deadpool::of(source, SIZE, SIZE, false).await?, loans).await,
            "deadpool-timeouts" => lend(Deadpool::of(source, SIZE, SIZE, true).await?, loans).await,
            "bb8" => lend(Bb8::of(source, SIZE, SIZE, true).await?, loans).await,
            "bb8-unchecked" => lend(Bb8::of(source, SIZE, SIZE, false).await?, loans).await,
            _ => Err(usage()),
        }
    })
}

async fn lend<P: Pool<Connection = u64>>(pool: P, loans: u64) -> Result<(), Error> {
    let task = tokio::spawn(async move { one_by_one(&pool, loans).await });
    task.await
        .map_err(|_| Error::Contender("the task panicked".to_owned()))??;
    Ok(())
}
