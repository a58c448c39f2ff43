//! A folder for files that are made from instances and do not outlive the process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::files::make_folder;

/// Makes `data_dir/transcoded`, less what a process left there that ended without a word. The folder is locked.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn prepare(data_dir: &Path) -> Result<PathBuf, Error> {
    let folder = data_dir.join("transcoded");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io("clear the folder for transcoded files")(error));
        }
        Ok(()) | Err(_) => {}
    }
    make_folder(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_gone() {
        let data_dir = tempfile::tempdir().unwrap();
        let folder = prepare(data_dir.path()).unwrap();
        fs::write(folder.join("1"), b"left").unwrap();
        assert_eq!(prepare(data_dir.path()).unwrap(), folder);
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    }
}
