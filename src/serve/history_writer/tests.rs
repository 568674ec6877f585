use super::*;
use crate::store::FILE_NAME;

#[test]
fn state_is_down_after_a_failed_or_hanging_write() {
    let health = StateHealth::default();
    let now = Instant::now();
    assert!(health.is_up(now));
    *health.writing() = Some(now);
    assert!(health.is_up(now + MAX_WRITE));
    assert!(!health.is_up(now + MAX_WRITE + Duration::from_millis(1)));
    *health.writing() = None;
    health.is_behind.store(true, Ordering::Relaxed);
    assert!(!health.is_up(now));
}

fn note(key: &str) -> Note {
    Note::Entries(BTreeSet::from([key.to_owned()]), Timestamp(0))
}

fn writer(folder: &Path) -> Writer {
    let folder = StateFolder::open(folder).unwrap();
    let left = Arc::new(AtomicUsize::new(1));
    Writer::new(folder, Arc::default(), left)
}

fn is_up(writer: &Writer) -> bool {
    writer.health.is_up(Instant::now())
}

#[test]
fn state_is_up_again_after_a_successful_write() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path());
    let other = rusqlite::Connection::open(folder.path().join(FILE_NAME)).unwrap();
    let mut tried = || {
        writer.left.store(1, Ordering::Relaxed);
        writer.take(note("x"));
        is_up(&writer)
    };
    assert!(tried());
    let fails = "CREATE TRIGGER fails BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'x'); END";
    other.execute_batch(fails).unwrap();
    assert!(!tried());
    other.execute_batch("DROP TRIGGER fails").unwrap();
    assert!(tried());
}

#[cfg(unix)]
#[test]
fn removed_folder_is_reported_and_written_again() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("state");
    let mut writer = writer(&folder);
    writer.take(Note::Remember("a".into(), Vec::new()));
    writer.take(note("before"));
    assert!(is_up(&writer));
    for is_replaced in [false, true] {
        std::fs::remove_dir_all(&folder).unwrap();
        if is_replaced {
            std::fs::create_dir(&folder).unwrap();
        }
        assert!(!writer.is_in_place());
        assert!(!is_up(&writer));
        writer.take(Note::Prune(Timestamp(0)));
        writer.retry();
        assert!(is_up(&writer));
        assert!(writer.is_in_place());
        let written = rusqlite::Connection::open(folder.join(FILE_NAME)).unwrap();
        let keys = "SELECT group_concat(key) FROM entries";
        let keys: String = written.query_row(keys, [], |row| row.get(0)).unwrap();
        assert_eq!(keys, "before");
    }
}

/// Sets the write version in the header of a database that no process has open. SQLite does not
/// write into one of version 3 (<https://www.sqlite.org/fileformat2.html>, section 1.3.3), even
/// as root.
fn set_write_version(file: &Path, version: u8) {
    const AT: usize = 18;
    let mut content = std::fs::read(file).unwrap();
    content[AT] = version;
    std::fs::write(file, content).unwrap();
}

#[test]
fn notes_are_kept_while_the_database_is_read_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE_NAME);
    drop(Store::open(folder.path()).unwrap());
    set_write_version(&file, 3);
    let mut writer = writer(folder.path());
    // The latest of several notes about one subject is kept.
    let remembered: Vec<Note> = ["a", "b", "b"]
        .into_iter()
        .map(|key| Note::Remember(key.to_owned(), Vec::new()))
        .collect();
    let notes = std::iter::once(note("first")).chain(remembered);
    let notes: Vec<Note> = notes.chain([note("last")]).collect();
    writer.left.store(notes.len(), Ordering::Relaxed);
    for note in notes {
        writer.take(note);
    }
    assert!(!is_up(&writer));
    writer.retry();
    assert!(!is_up(&writer));
    assert_eq!(writer.left.load(Ordering::Relaxed), 5);
    assert_eq!(writer.unwritten.len(), 3);
    // The writer has no connection between two attempts.
    set_write_version(&file, 2);
    writer.retry();
    assert!(is_up(&writer));
    assert_eq!(writer.left.load(Ordering::Relaxed), 0);
    assert_eq!(writer.unwritten.len(), 0);
    let other = rusqlite::Connection::open(&file).unwrap();
    let keys = "SELECT group_concat(key) FROM entries";
    let keys: String = other.query_row(keys, [], |row| row.get(0)).unwrap();
    assert_eq!(keys, "last");
}
