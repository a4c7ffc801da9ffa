//! A folder that is deleted at the end of the test, unless the test failed.

use std::path::Path;

use super::deadline::Deadline;

/// A temporary folder.
#[derive(Debug)]
pub struct Folder {
    name: String,
    folder: Option<tempfile::TempDir>,
    /// Whatever a test starts has a folder.
    _deadline: Deadline,
}

impl Folder {
    /// An empty one; the name is for the message that says where it was kept.
    pub fn new(name: &str) -> Folder {
        let folder = tempfile::Builder::new().prefix(&format!("chatting-{name}-")).tempdir().unwrap();
        Folder { name: name.to_owned(), folder: Some(folder), _deadline: Deadline::start() }
    }

    pub fn path(&self) -> &Path {
        self.folder.as_ref().expect("the folder is there until it is dropped").path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            eprintln!("what {} wrote is kept in {}", self.name, folder.keep().display());
        }
    }
}
