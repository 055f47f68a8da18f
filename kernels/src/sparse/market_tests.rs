//! Files that are right, wrong, cut off, and in the way.

use super::*;
use crate::testing::pool;

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("phalanx-market-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn read(&self, text: &str) -> Result<Csr<f64>, KernelError> {
        let path = self.0.join("a.mtx");
        std::fs::write(&path, text).unwrap();
        read_matrix_market(pool(), &path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn every_kind_is_read() {
    let folder = Folder::new("kinds");
    let head = |kind: &str| format!("%%MatrixMarket matrix coordinate {kind}\n% a comment\n\n3 3 2\n");
    let a = folder.read(&(head("real general") + "1 3 -2.5e-3\n\n3 1 4")).unwrap();
    assert_eq!(
        (a.row(0), a.row(1), a.row(2)),
        ((&[2][..], &[-2.5e-3][..]), (&[][..], &[][..]), (&[0][..], &[4.0][..]))
    );
    let a = folder.read(&(head("Integer Symmetric") + "2 2 7\n3 1 4\n")).unwrap();
    assert_eq!((a.entries(), a.find(0, 2), a.find(2, 0), a.find(1, 1)), (3, Some(4.0), Some(4.0), Some(7.0)));
    let a = folder.read(&(head("pattern general") + "1 1\n1 1\n")).unwrap();
    assert_eq!(a.find(0, 0), Some(2.0), "entries of one place are summed");
    let a = folder.read(&(head("real skew-symmetric") + "2 1 5\n3 1 4\n")).unwrap();
    assert_eq!((a.find(0, 1), a.find(1, 0)), (Some(-5.0), Some(5.0)));
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let folder = Folder::new("wrong");
    let head = "%%MatrixMarket matrix coordinate real general\n";
    for (text, at) in [
        (String::new(), 1),
        ("1 1 1\n".to_owned(), 1),
        ("%%MatrixMarket matrix array real general\n".to_owned(), 1),
        ("%%MatrixMarket matrix coordinate complex general\n".to_owned(), 1),
        ("%%MatrixMarket matrix coordinate real hermitian\n".to_owned(), 1),
        (head.to_owned(), 2),
        (format!("{head}2 2\n"), 2),
        (format!("{head}2 2 -1\n"), 2),
        (format!("{head}2 2 1\n3 1 1.0\n"), 3),
        (format!("{head}2 2 1\n0 1 1.0\n"), 3),
        (format!("{head}2 2 1\n1 1\n"), 3),
        (format!("{head}2 2 1\n1 1 x\n"), 3),
        (format!("{head}2 2 1\n1 1 1.0 2.0\n"), 3),
        (format!("{head}2 2 2\n1 1 1.0\n"), 4),
        (format!("{head}2 2 1\n1 1 1.0\n2 2 1.0\n"), 4),
        ("%%MatrixMarket matrix coordinate real symmetric\n2 3 0\n".to_owned(), 2),
        ("%%MatrixMarket matrix coordinate real skew-symmetric\n2 2 1\n1 1 1\n".to_owned(), 3),
    ] {
        let refused = folder.read(&text).unwrap_err();
        assert!(matches!(refused, KernelError::File { line, .. } if line == at), "{text:?}: {refused}");
    }
    let missing = read_matrix_market(pool(), folder.0.join("none.mtx"));
    assert!(matches!(missing, Err(KernelError::Io { .. })));
}

#[test]
fn what_was_written_is_read_back_with_all_bits_and_nothing_else_is_left() {
    let folder = Folder::new("bits");
    let path = folder.0.join("b.mtx");
    let values = [0.1, f64::MIN_POSITIVE, 5e-324, -1.0 / 3.0, 1e300];
    let a = Csr::from_coo(pool(), (4, 9), &[0, 1, 1, 3, 3], &[8, 0, 3, 2, 5], &values).unwrap();
    std::fs::write(&path, "what was there").unwrap();
    write_matrix_market(&a, &path).unwrap();
    let back = read_matrix_market(pool(), &path).unwrap();
    assert_eq!(
        (back.shape(), back.columns().to_vec(), back.values().to_vec()),
        ((4, 9), a.columns().to_vec(), a.values().to_vec())
    );
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1);
    // A folder is in the way: the error names the file, and the draft is gone.
    let taken = folder.0.join("taken");
    std::fs::create_dir(&taken).unwrap();
    assert!(matches!(write_matrix_market(&a, &taken), Err(KernelError::Io { path, .. }) if path == taken));
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 2);
    assert!(matches!(write_matrix_market(&a, folder.0.join("no/such/b.mtx")), Err(KernelError::Io { .. })));
}
