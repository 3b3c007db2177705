//! Files: the run that `--json` writes, read back; and whatever else is written, replaced whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{FORMAT, Record};

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// Found out before anything is run.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A name that leads to no file.
    #[error("cannot write {}: it is a folder", .0.display())]
    Folder(PathBuf),
    /// The file of a run cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is not the file of a run.
    #[error("{} is no run that `cargo xtask bench --json` wrote: {why}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is off.
        why: String,
    },
    /// The figures cannot be put down as JSON.
    #[error("cannot put the results down: {0}")]
    Json(#[from] serde_json::Error),
}

/// Finds out whether the file can be written, leaving what is there as it is.
pub(crate) fn probe(path: &Path) -> Result<(), Error> {
    let error = |source| Error::Write {
        path: path.to_owned(),
        source,
    };
    if path.is_dir() {
        return Err(Error::Folder(path.to_owned()));
    }
    if path.exists() {
        OpenOptions::new().append(true).open(path).map_err(error)?;
    }
    if is_plain(path) {
        // The file is replaced by a new one beside it, so that is what must be possible.
        let beside = beside(path);
        fs::File::create(&beside).map_err(error)?;
        fs::remove_file(&beside).map_err(error)?;
    }
    Ok(())
}

/// Writes a run.
pub(crate) fn write_record(path: &Path, record: &Record) -> Result<(), Error> {
    let mut text = serde_json::to_string(record)?;
    text.push('\n');
    write(path, &text)
}

/// Reads a run.
pub(crate) fn read_record(path: &Path) -> Result<Record, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    let content = |why: String| Error::Content {
        path: path.to_owned(),
        why,
    };
    // The number first: another form is told as such, not by the first field that it lacks.
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| content(error.to_string()))?;
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if format == u64::from(FORMAT) => {}
        Some(format) => {
            return Err(content(format!(
                "its form is number {format}, this reads {FORMAT}"
            )));
        }
        None => return Err(content("it does not say its form".to_owned())),
    }
    serde_json::from_value(value).map_err(|error| content(error.to_string()))
}

/// Writes a text: beside the old file first, so that a full disk does not cost the old one too.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Error> {
    put(path, text).map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    if !is_plain(path) {
        return OpenOptions::new()
            .write(true)
            .open(path)?
            .write_all(text.as_bytes());
    }
    let beside = beside(path);
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // Half a file is of no use to anybody; whether it can be removed changes nothing.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Whether it is a file like others, or none yet: a pipe or a device must not be replaced.
fn is_plain(path: &Path) -> bool {
    path.metadata().map_or(true, |metadata| metadata.is_file())
}

/// The name it is written under until it is whole.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    /// A folder of its own for each test, below the system's for such things.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-bench-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    #[test]
    fn what_cannot_be_written_is_found_out_before_the_run() {
        let folder = folder("probe");
        assert!(matches!(probe(&folder), Err(Error::Folder(_))));
        let error = probe(&folder.join("absent/run.json"))
            .expect_err("no such folder")
            .to_string();
        assert!(error.contains("run.json"), "{error}");
        assert!(probe(&folder.join("run.json")).is_ok());
        assert_eq!(
            fs::read_dir(&folder).expect("the folder").count(),
            0,
            "a probe leaves nothing"
        );
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn an_old_file_survives_the_probe_and_is_replaced_whole() {
        let folder = folder("write");
        let path = folder.join("run.json");
        fs::write(&path, "old").expect("written");
        probe(&path).expect("it can be written");
        assert_eq!(fs::read_to_string(&path).expect("there"), "old");

        write_record(&path, &fixture::record(9.0)).expect("written");
        assert_eq!(read_record(&path).expect("read"), fixture::record(9.0));
        assert_eq!(fs::read_dir(&folder).expect("the folder").count(), 1);
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn what_is_no_run_is_named_with_what_is_off() {
        let folder = folder("read");
        let path = folder.join("run.json");
        for (text, why) in [
            ("{", "EOF"),
            ("{}", "does not say its form"),
            (r#"{"format":1}"#, "number 1, this reads 2"),
            (r#"{"format":2}"#, "missing field"),
        ] {
            fs::write(&path, text).expect("written");
            let error = read_record(&path).expect_err("no run").to_string();
            assert!(error.contains(why) && error.contains("run.json"), "{error}");
        }
        let error = read_record(&folder.join("absent.json"))
            .expect_err("not there")
            .to_string();
        assert!(error.contains("absent.json"), "{error}");
        fs::remove_dir_all(folder).expect("removed");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_not_a_panic() {
        let error = put(Path::new("/dev/full"), "text").expect_err("the device is always full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
