//! What is written after a run: the file, the page, the comparison, the page of figures.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Error, table};
use crate::cli::BenchArgs;
use crate::record::{Record, file};
use crate::{claims, compare, page, performance, say};

/// What is written at the end, made sure of before minutes of measuring.
pub(super) struct Outputs {
    page: Option<PathBuf>,
    baseline: Option<Record>,
}

impl Outputs {
    pub(super) fn prepare(args: &BenchArgs) -> Result<Self, Error> {
        if let Some(path) = &args.json {
            file::probe(path)?;
        }
        let page = match &args.report {
            Some(folder) => {
                std::fs::create_dir_all(folder).map_err(|source| Error::Folder {
                    path: folder.clone(),
                    source,
                })?;
                let page = folder.join("index.html");
                file::probe(&page)?;
                Some(page)
            }
            None => None,
        };
        let baseline = args.baseline.as_deref().map(file::read_record).transpose()?;
        claims::all()?;
        Ok(Self { page, baseline })
    }

    /// Writes all of it; what cannot be written does not keep the rest from being written.
    pub(super) fn write(
        &self,
        root: &Path,
        args: &BenchArgs,
        record: &Record,
        mut code: ExitCode,
    ) -> Result<ExitCode, Error> {
        let claimed = claims::judge(&claims::all()?, record);
        if args.scenarios.is_empty() && args.contenders.is_empty() {
            say::out(&table::claims(&claimed));
        }
        let json = args.json.as_ref().map(|path| file::write_record(path, record));
        let page = self
            .page
            .as_ref()
            .map(|path| file::write(path, &page::render(record, &claimed)).map(|()| path));
        if let Some(Ok(path)) = &page {
            say::err(&format!("bench: the report is {}", path.display()));
        }
        if let Some(baseline) = &self.baseline {
            let found = compare::compare(baseline, record);
            say::out(found.markdown().trim_end());
            if found.ours_got_worse() {
                code = ExitCode::FAILURE;
            }
        }
        json.transpose()?;
        page.transpose()?;
        if args.record {
            match unfit(root, record) {
                None => performance::write(root, record, &claimed)?,
                Some(why) => {
                    say::err(&format!(
                        "bench: docs/performance.md is written from a whole, full run only; this one {why}"
                    ));
                    // A run that broke off has a status of its own, which says how.
                    if record.complete || args.from.is_some() {
                        code = ExitCode::FAILURE;
                    }
                }
            }
        }
        Ok(code)
    }
}

/// Why a run is no record, if it is none.
fn unfit(root: &Path, record: &Record) -> Option<&'static str> {
    if record.quick {
        Some("is quick")
    } else if !record.complete {
        Some("did not come to its end")
    } else if record.scenarios.iter().any(|part| !part.failed.is_empty()) {
        Some("has steps that failed")
    } else if !scenarios(root).iter().all(|name| record.part(name).is_some()) {
        Some("has not every scenario")
    } else {
        None
    }
}

/// The names of all scenarios, by their files.
fn scenarios(root: &Path) -> Vec<String> {
    let files = std::fs::read_dir(root.join("benches/scenarios"))
        .into_iter()
        .flatten();
    let name = |file: std::io::Result<std::fs::DirEntry>| {
        let name = file.ok()?.file_name();
        Some(name.to_string_lossy().strip_suffix(".toml")?.to_owned())
    };
    files.filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture;

    #[test]
    fn a_record_is_of_every_scenario_whole_and_full() {
        let root = std::env::temp_dir().join(format!("xtask-unfit-{}", std::process::id()));
        let folder = root.join("benches/scenarios");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("io.toml"), "").expect("written");
        let mut record = fixture::record(9.0);
        assert_eq!(unfit(&root, &record), None);
        std::fs::write(folder.join("pool.toml"), "").expect("written");
        assert_eq!(unfit(&root, &record), Some("has not every scenario"));
        record.complete = false;
        assert_eq!(unfit(&root, &record), Some("did not come to its end"));
        record.quick = true;
        assert_eq!(unfit(&root, &record), Some("is quick"));
        std::fs::remove_dir_all(root).expect("removed");
    }
}
