//! The SQLite file: rows of encoded objects, and the revision counter.
//!
//! One table, written only by the commit thread. It refuses to know what the bodies mean.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, params};

use crate::state::{ObjectKey, ObjectName, Row};

/// The layout that this version writes, kept in SQLite's `user_version`.
const LAYOUT_VERSION: i64 = 1;
/// SQLite's `application_id`: "drey" in ASCII, so that another program's file is not taken for ours.
const APPLICATION_ID: i64 = 0x6472_6579;

/// Why a state file cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the file open. Only one may, because it alone assigns revisions.
    #[error("state file `{}` is in use by another process: stop that process, or use another directory", path.display())]
    AlreadyOpen {
        /// The state file.
        path: PathBuf,
    },
    /// The file was written by a later version of this program.
    #[error(
        "state file `{}` has layout {found}, but this version reads up to {supported}: use the newer version that wrote it",
        path.display()
    )]
    Newer {
        /// The state file.
        path: PathBuf,
        /// Layout version on disk.
        found: i64,
        /// The latest layout that this version reads.
        supported: i64,
    },
    /// The file is a SQLite database of something else.
    #[error("`{}` is a database of another program: choose another file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A stored object cannot be read.
    #[error("state file `{}` is damaged at {object}: restore it from a copy, or delete it to start afresh", path.display())]
    Damaged {
        /// The state file.
        path: PathBuf,
        /// Collection, namespace and name of the object.
        object: String,
        /// What the decoder says.
        source: serde_json::Error,
    },
    /// The lock file beside the state file cannot be made.
    #[error("cannot lock `{}`: check that the directory exists and is writable", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// SQLite refuses the file.
    #[error("cannot open state file `{}`: check that it is a writable file with free space around it", path.display())]
    Sqlite {
        /// The state file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The commit thread cannot be started.
    #[error("cannot start the thread that writes the state file")]
    Thread {
        /// What the system says.
        source: std::io::Error,
    },
}

/// The open file. Dropping it releases the lock.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
    path: PathBuf,
    _lock: File,
}

/// What was on the disk.
pub(crate) struct Loaded {
    pub(crate) revision: u64,
    pub(crate) rows: Vec<(ObjectKey, u64, Bytes)>,
}

impl Store {
    /// Opens or creates the file.
    pub(crate) fn open(path: &Path) -> Result<Store, OpenError> {
        let lock = lock_beside(path)?;
        let failed = |source| OpenError::Sqlite { path: path.to_owned(), source };
        let connection = Connection::open(path).map_err(failed)?;
        check_header(&connection, path)?;
        prepare(&connection).map_err(failed)?;
        Ok(Store { connection, path: path.to_owned(), _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads everything.
    pub(crate) fn load(&self) -> Result<Loaded, rusqlite::Error> {
        let revision: i64 =
            self.connection
                .query_row("SELECT value FROM counters WHERE name = 'revision'", [], |row| row.get(0))?;
        let mut statement =
            self.connection.prepare("SELECT collection, namespace, name, revision, body FROM objects")?;
        let mut names: std::collections::HashMap<String, Arc<str>> = std::collections::HashMap::new();
        let rows = statement.query_map([], |row| {
            let collection: String = row.get(0)?;
            let (namespace, name): (String, String) = (row.get(1)?, row.get(2)?);
            let shared = names.entry(collection).or_insert_with_key(|name| Arc::from(name.as_str()));
            let key =
                ObjectKey { collection: Arc::clone(shared), object: ObjectName::new(&namespace, &name) };
            let revision: i64 = row.get(3)?;
            let body: Vec<u8> = row.get(4)?;
            Ok((key, revision.unsigned_abs(), Bytes::from(body)))
        })?;
        Ok(Loaded { revision: revision.unsigned_abs(), rows: rows.collect::<Result<_, _>>()? })
    }

    /// Writes rows in one transaction that is on the disk when this returns.
    pub(crate) fn commit(&mut self, rows: &[Row], revision: u64) -> Result<(), rusqlite::Error> {
        let transaction = self.connection.transaction()?;
        {
            let mut put = transaction.prepare_cached(
                "INSERT INTO objects (collection, namespace, name, revision, body) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (collection, namespace, name) DO UPDATE SET revision = excluded.revision, body = excluded.body",
            )?;
            let mut delete = transaction.prepare_cached(
                "DELETE FROM objects WHERE collection = ?1 AND namespace = ?2 AND name = ?3",
            )?;
            for row in rows {
                let ObjectKey { collection, object: ObjectName { namespace, name } } = &row.key;
                match &row.body {
                    Some(body) => {
                        put.execute(params![collection, namespace, name, signed(row.revision), &body[..]])?
                    }
                    None => delete.execute(params![collection, namespace, name])?,
                };
            }
            transaction.execute(
                "UPDATE counters SET value = ?1 WHERE name = 'revision'",
                params![signed(revision)],
            )?;
        }
        transaction.commit()
    }
}

fn signed(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

fn lock_beside(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let failed = |source| OpenError::Lock { path: lock_path.clone(), source };
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::AlreadyOpen { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn check_header(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let read = |pragma: &str| -> Result<i64, OpenError> {
        connection
            .query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))
            .map_err(|source| OpenError::Sqlite { path: path.to_owned(), source })
    };
    let (application, version, size) = (read("application_id")?, read("user_version")?, read("page_count")?);
    if size > 0 && application != APPLICATION_ID {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    if version > LAYOUT_VERSION {
        return Err(OpenError::Newer { path: path.to_owned(), found: version, supported: LAYOUT_VERSION });
    }
    Ok(())
}

fn prepare(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // Acknowledged means on the disk: the log is synced at every commit.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(
        "BEGIN;
         CREATE TABLE IF NOT EXISTS objects (
             collection TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
             revision INTEGER NOT NULL, body BLOB NOT NULL,
             PRIMARY KEY (collection, namespace, name));
         CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
         INSERT OR IGNORE INTO counters (name, value) VALUES ('revision', 1);
         COMMIT;",
    )?;
    connection.pragma_update(None, "user_version", LAYOUT_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, revision: u64, body: Option<&'static [u8]>) -> Row {
        let key = ObjectKey { collection: Arc::from("things"), object: ObjectName::new("ns", name) };
        Row { key, revision, body: body.map(Bytes::from_static) }
    }

    #[test]
    fn rows_survive_and_go() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        let mut store = Store::open(&path).unwrap();
        store.commit(&[row("a", 2, Some(b"{}")), row("b", 3, Some(b"{}"))], 3).unwrap();
        store.commit(&[row("a", 4, None)], 4).unwrap();
        drop(store);
        let loaded = Store::open(&path).unwrap().load().unwrap();
        assert_eq!(loaded.revision, 4);
        assert_eq!(loaded.rows.len(), 1);
        assert_eq!(&*loaded.rows[0].0.object.name, "b");
    }

    #[test]
    fn a_second_opener_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        let _first = Store::open(&path).unwrap();
        assert!(matches!(Store::open(&path), Err(OpenError::AlreadyOpen { .. })));
    }

    #[test]
    fn newer_and_foreign_files_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let newer = directory.path().join("newer.db");
        drop(Store::open(&newer).unwrap());
        Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let error = Store::open(&newer).unwrap_err();
        assert!(error.to_string().contains("layout 99"), "{error}");
        let foreign = directory.path().join("foreign.db");
        Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        assert!(matches!(Store::open(&foreign), Err(OpenError::Foreign { .. })));
        let text = directory.path().join("text.db");
        std::fs::write(&text, "not a database at all, but long enough to look at").unwrap();
        assert!(matches!(Store::open(&text), Err(OpenError::Sqlite { .. })));
    }
}
