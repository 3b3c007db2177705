//! The counts that are kept in the tree.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Error;
use crate::record::file;

/// Where, from the root.
const PATH: &str = "benches/icount.json";

/// Counts, and what they were made with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// The compiler and the machine's family.
    pub(crate) rustc: String,
    /// Instructions by `crate/operation/contender`.
    pub(crate) counts: BTreeMap<String, f64>,
}

impl Stored {
    /// Reads them; nothing where none are stored.
    pub(crate) fn read(root: &Path) -> Result<Option<Self>, Error> {
        match std::fs::read_to_string(root.join(PATH)) {
            Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
            Err(_) => Ok(None),
        }
    }

    pub(super) fn write(&self, root: &Path) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        Ok(file::write(&root.join(PATH), &text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_counts_are_read_back_and_their_absence_is_no_error() {
        let root = std::env::temp_dir().join(format!("xtask-icount-{}", std::process::id()));
        std::fs::create_dir_all(root.join("benches")).expect("a folder");
        assert_eq!(Stored::read(&root).expect("nothing stored"), None);
        let stored = Stored {
            rustc: "rustc 1.95.0, x".to_owned(),
            counts: [("a/b/c".to_owned(), 12.5)].into(),
        };
        stored.write(&root).expect("written");
        assert_eq!(Stored::read(&root).expect("read"), Some(stored));
        std::fs::write(root.join(PATH), "{").expect("written");
        assert!(Stored::read(&root).is_err());
        std::fs::remove_dir_all(root).expect("removed");
    }

    #[test]
    fn what_the_tree_stores_can_be_read() {
        Stored::read(&crate::workspace::root()).expect("nothing, or counts");
    }
}
