//! What is shown.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

use super::traffic::Account;

/// What there is to see at a moment.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) elapsed: Duration,
    pub(super) account: Account,
    /// Spans that were acknowledged and have not arrived.
    pub(super) lost: u64,
    /// Spans that arrived again.
    pub(super) duplicates: u64,
    pub(super) retries: u64,
    pub(super) hedges: u64,
    pub(super) rows: Vec<Row>,
}

/// One collector.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) number: usize,
    /// What it does.
    pub(super) behaviour: String,
    /// What the gateway thinks of it, and why.
    pub(super) readiness: &'static str,
    pub(super) reason: &'static str,
    pub(super) in_flight: u64,
    pub(super) requests: u64,
    pub(super) spans: u64,
}

/// Colours or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Ansi,
    Plain,
}

impl Style {
    fn paint(self, colour: &str, text: &str) -> String {
        match self {
            Self::Ansi => format!("\x1b[{colour}m{text}\x1b[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}

const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";
const BOLD: &str = "1";

/// Where it is shown. On a terminal that is a screen of its own, which goes with this value.
#[derive(Debug)]
pub(super) struct Screen {
    is_terminal: bool,
    style: Style,
}

impl Screen {
    pub(super) fn enter(is_terminal: bool) -> io::Result<Self> {
        if is_terminal {
            // The other screen, without a cursor.
            print("\x1b[?1049h\x1b[?25l")?;
        }
        // As no-color.org has it.
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Ok(Self {
            is_terminal,
            style: if plain { Style::Plain } else { Style::Ansi },
        })
    }

    pub(super) fn show(&self, snapshot: &Snapshot) -> io::Result<()> {
        if self.is_terminal {
            let table = table(snapshot, self.style);
            // From the top, and nothing of the last one left.
            print(&format!("\x1b[H{}\x1b[J", table.replace('\n', "\x1b[K\n")))
        } else {
            print(&line(snapshot))
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_terminal {
            // A terminal that is gone needs no restoring.
            let _ = print("\x1b[?25h\x1b[?1049l");
        }
    }
}

/// Writes it at once.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The whole table.
pub(super) fn table(snapshot: &Snapshot, style: Style) -> String {
    let Snapshot {
        elapsed,
        account,
        lost,
        duplicates,
        retries,
        hedges,
        rows,
    } = snapshot;
    let mut out = style.paint(BOLD, "evenkeel demo");
    // Writing to a string does not fail.
    let _ = writeln!(out, "   {} s", elapsed.as_secs());
    let _ = writeln!(
        out,
        "\n  requests   {} sent, {} acknowledged, {} failed",
        account.sent, account.acknowledged, account.failed
    );
    let lost_text = format!("{lost} lost");
    let lost_text = style.paint(if *lost == 0 { GREEN } else { RED }, &lost_text);
    let _ = writeln!(
        out,
        "  spans      {} acknowledged, {lost_text}, {duplicates} arrived twice",
        account.spans
    );
    let _ = writeln!(
        out,
        "  latency    p50 {}, p99 {}, longest {} of the last requests",
        ms(account.p50),
        ms(account.p99),
        ms(account.longest)
    );
    let _ = writeln!(out, "  rescued    {retries} retries, {hedges} hedges\n");
    let head = format!(
        "  {:<3}{:<20}{:<26}{:>10}{:>12}{:>12}",
        "#", "collector is", "the gateway says", "in flight", "requests", "spans"
    );
    let _ = writeln!(out, "{}", style.paint(BOLD, &head));
    for row in rows {
        let says = if row.readiness == "ready" || row.reason.is_empty() {
            row.readiness.to_owned()
        } else {
            format!("{} ({})", row.readiness, row.reason)
        };
        let behaviour = style.paint(
            if row.behaviour == "well" { GREEN } else { RED },
            &format!("{:<20}", row.behaviour),
        );
        let says = style.paint(
            if row.readiness == "ready" { GREEN } else { YELLOW },
            &format!("{says:<26}"),
        );
        let _ = writeln!(
            out,
            "  {:<3}{behaviour}{says}{:>10}{:>12}{:>12}",
            row.number, row.in_flight, row.requests, row.spans
        );
    }
    out.push_str(
        "\n  k kill   h hang   e error   t throttle   s slow   r restore: and a number, such as k1   q end\n",
    );
    out
}

/// One line, where there is no terminal.
pub(super) fn line(snapshot: &Snapshot) -> String {
    let account = &snapshot.account;
    let mut out = format!(
        "{:>4} s: {} acknowledged, {} failed, {} spans lost, {} twice, p99 {}",
        snapshot.elapsed.as_secs(),
        account.acknowledged,
        account.failed,
        snapshot.lost,
        snapshot.duplicates,
        ms(account.p99)
    );
    for row in &snapshot.rows {
        // Writing to a string does not fail.
        let _ = write!(out, " | {} {}: {}", row.number, row.behaviour, row.readiness);
    }
    out.push('\n');
    out
}

/// The last word.
pub(super) fn summary(snapshot: &Snapshot) -> String {
    format!(
        "{} requests: {} acknowledged, {} failed. {} spans acknowledged: {} lost, {} arrived twice\n",
        snapshot.account.sent,
        snapshot.account.acknowledged,
        snapshot.account.failed,
        snapshot.account.spans,
        snapshot.lost,
        snapshot.duplicates
    )
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            elapsed: Duration::from_secs(12),
            account: Account {
                sent: 1200,
                acknowledged: 1198,
                failed: 1,
                spans: 23_960,
                p50: Duration::from_micros(400),
                p99: Duration::from_millis(9),
                longest: Duration::from_millis(31),
            },
            lost: 0,
            duplicates: 20,
            retries: 7,
            hedges: 3,
            rows: vec![
                Row {
                    number: 1,
                    behaviour: "killed".to_owned(),
                    readiness: "ejected",
                    reason: "breaker",
                    in_flight: 0,
                    requests: 317,
                    spans: 6_340,
                },
                Row {
                    number: 2,
                    behaviour: "well".to_owned(),
                    readiness: "ready",
                    reason: "",
                    in_flight: 1,
                    requests: 881,
                    spans: 17_620,
                },
            ],
        }
    }

    #[test]
    fn the_table_has_what_the_line_and_the_last_word_have() {
        let plain = table(&snapshot(), Style::Plain);
        for part in [
            "1198 acknowledged, 1 failed",
            "23960 acknowledged, 0 lost, 20 arrived twice",
            "p99 9.0 ms",
            "7 retries, 3 hedges",
            "ejected (breaker)",
        ] {
            assert!(plain.contains(part), "{part} is not in:\n{plain}");
        }
        assert!(line(&snapshot()).contains("0 spans lost, 20 twice, p99 9.0 ms | 1 killed: ejected"));
        assert!(summary(&snapshot()).contains("23960 spans acknowledged: 0 lost"));
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let mut coloured = table(&snapshot(), Style::Ansi);
        for code in ["\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"] {
            coloured = coloured.replace(code, "");
        }
        assert_eq!(coloured, table(&snapshot(), Style::Plain));
    }

    #[test]
    fn a_table_fits_into_a_usual_terminal() {
        let plain = table(&snapshot(), Style::Plain);
        assert!(plain.lines().all(|line| line.chars().count() <= 100), "{plain}");
        assert!(plain.lines().count() <= 24);
    }
}
