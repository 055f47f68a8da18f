//! Matrix Market files: a header, a size, one entry per line
//! (<https://math.nist.gov/MatrixMarket/formats.html>).

use super::Csr;
use crate::error::KernelError;
use phalanx::Pool;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Which entries a file leaves out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Symmetry {
    General,
    Symmetric,
    Skew,
}

/// Reads a sparse matrix from a Matrix Market file: `matrix coordinate`, of `real`, `integer` or `pattern`
/// entries (which are 1), `general`, `symmetric` or `skew-symmetric`, whose other half is added. Entries of
/// one place are summed.
///
/// Cost: the caller reads the file once, line by line; then as [`Csr::from_coo`].
///
/// # Errors
/// `Io` if the file cannot be read; `File` with the number of the invalid line; `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::sparse;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = std::env::temp_dir().join(format!("market-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let path = folder.join("a.mtx");
/// std::fs::write(&path, "%%MatrixMarket matrix coordinate real symmetric\n2 2 2\n1 1 4\n2 1 -1\n")?;
/// let a = sparse::read_matrix_market(&pool, &path)?;
/// assert_eq!(a.row(0), (&[0, 1][..], &[4.0, -1.0][..]));
/// sparse::write_matrix_market(&a, &path)?;
/// assert_eq!(sparse::read_matrix_market(&pool, &path)?.row(1), (&[0][..], &[-1.0][..]));
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "mmread")]
pub fn read_matrix_market(pool: &Pool, path: impl AsRef<Path>) -> Result<Csr<f64>, KernelError> {
    let path = path.as_ref();
    let wrong = |source: io::Error| KernelError::Io { path: path.to_owned(), source };
    let mut lines =
        Lines { path, from: BufReader::new(File::open(path).map_err(wrong)?), line: 0, text: String::new() };
    if !lines.next().map_err(wrong)? {
        return Err(lines.refuse("the file is empty; it must begin with %%MatrixMarket"));
    }
    let (is_pattern, symmetry) = header(&lines)?;
    loop {
        if !lines.next().map_err(wrong)? {
            return Err(lines.refuse("the file ends before its size"));
        }
        if !lines.is_comment() {
            break;
        }
    }
    let [m, n, count] = size(&lines)?;
    if symmetry != Symmetry::General && m != n {
        return Err(lines.refuse(&format!("a symmetric matrix is square, and this is {m} x {n}")));
    }
    let mut entries = Entries::default();
    let mut read = 0;
    while lines.next().map_err(wrong)? {
        if lines.is_comment() {
            continue;
        }
        if read == count {
            return Err(lines.refuse(&format!("there are more than the {count} entries of the size")));
        }
        entries.put(&lines, [m, n], is_pattern, symmetry)?;
        read += 1;
    }
    if read < count {
        return Err(
            lines.refuse(&format!("the file ends after {read} of {count} entries; it may be cut off"))
        );
    }
    Csr::from_coo(pool, (m, n), &entries.rows, &entries.columns, &entries.values)
}

struct Lines<'p> {
    path: &'p Path,
    from: BufReader<File>,
    line: usize,
    text: String,
}

impl Lines<'_> {
    /// Reads the next line; returns whether there is one.
    fn next(&mut self) -> io::Result<bool> {
        self.text.clear();
        self.line += 1;
        Ok(self.from.read_line(&mut self.text)? > 0)
    }

    fn is_comment(&self) -> bool {
        self.text.starts_with('%') || self.text.trim().is_empty()
    }

    fn refuse(&self, why: &str) -> KernelError {
        KernelError::File { path: self.path.to_owned(), line: self.line, why: why.to_owned() }
    }
}

fn header(lines: &Lines<'_>) -> Result<(bool, Symmetry), KernelError> {
    let text = lines.text.to_ascii_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    let ["%%matrixmarket", "matrix", "coordinate", field, symmetry] = words[..] else {
        return Err(lines.refuse(
            "this is no header of a sparse matrix: %%MatrixMarket matrix coordinate real general, say",
        ));
    };
    let is_pattern = match field {
        "real" | "integer" | "double" => false,
        "pattern" => true,
        other => {
            return Err(lines
                .refuse(&format!("entries that are {other} are not read, only real, integer and pattern")));
        }
    };
    let symmetry = match symmetry {
        "general" => Symmetry::General,
        "symmetric" => Symmetry::Symmetric,
        "skew-symmetric" => Symmetry::Skew,
        other => {
            return Err(
                lines.refuse(&format!("{other} is not read, only general, symmetric and skew-symmetric"))
            );
        }
    };
    Ok((is_pattern, symmetry))
}

fn size(lines: &Lines<'_>) -> Result<[usize; 3], KernelError> {
    let numbers: Option<Vec<usize>> = lines.text.split_whitespace().map(|word| word.parse().ok()).collect();
    match numbers.as_deref() {
        Some(&[m, n, count]) => Ok([m, n, count]),
        _ => Err(lines.refuse("three whole numbers are needed: rows, columns and entries")),
    }
}

/// Entries as they are read.
#[derive(Default)]
struct Entries {
    rows: Vec<u64>,
    columns: Vec<u64>,
    values: Vec<f64>,
}

impl Entries {
    fn put(
        &mut self,
        lines: &Lines<'_>,
        shape: [usize; 2],
        is_pattern: bool,
        symmetry: Symmetry,
    ) -> Result<(), KernelError> {
        let mut words = lines.text.split_whitespace();
        let mut place = |what: &str, len: usize| {
            let place: Option<usize> = words.next().and_then(|word| word.parse().ok());
            match place {
                Some(place) if (1..=len).contains(&place) => Ok(place as u64 - 1),
                _ => Err(lines.refuse(&format!("the {what} must be a whole number in 1..={len}"))),
            }
        };
        let (row, column) = (place("row", shape[0])?, place("column", shape[1])?);
        let value = match (is_pattern, words.next()) {
            (true, None) => Some(1.0),
            (false, Some(word)) => word.parse().ok(),
            _ => None,
        };
        let (Some(value), None) = (value, words.next()) else {
            let needed = if is_pattern { "a row and a column" } else { "a row, a column and a number" };
            return Err(lines.refuse(&format!("an entry is {needed}")));
        };
        self.push(row, column, value);
        match symmetry {
            Symmetry::General => {}
            Symmetry::Skew if row == column => {
                return Err(lines.refuse("a skew-symmetric matrix has no diagonal"));
            }
            Symmetry::Symmetric if row == column => {}
            Symmetry::Symmetric => self.push(column, row, value),
            Symmetry::Skew => self.push(column, row, -value),
        }
        Ok(())
    }

    fn push(&mut self, row: u64, column: u64, value: f64) {
        self.rows.push(row);
        self.columns.push(column);
        self.values.push(value);
    }
}

/// Writes a sparse matrix to a Matrix Market file, `matrix coordinate real general`, with all digits of its
/// values. The file appears whole under its name, or not at all: it is written beside it, flushed to the disk
/// and renamed; a file of that name is replaced.
///
/// # Errors
/// `Io` if it cannot be written: what was there is unchanged. `Shape` if the values were replaced.
#[doc(alias = "mmwrite")]
pub fn write_matrix_market(a: &Csr<f64>, path: impl AsRef<Path>) -> Result<(), KernelError> {
    a.check_values()?;
    let path = path.as_ref();
    let draft = draft_of(path);
    let written = write_to(a, &draft).and_then(|()| std::fs::rename(&draft, path));
    written.map_err(|source| {
        // It may not be there at all; that is not what went wrong.
        let _ = std::fs::remove_file(&draft);
        KernelError::Io { path: path.to_owned(), source }
    })
}

/// A name beside the file's that no other process uses.
fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.draft", std::process::id()));
    path.with_file_name(name)
}

fn write_to(a: &Csr<f64>, draft: &Path) -> io::Result<()> {
    let mut to = BufWriter::new(File::create(draft)?);
    let (m, n) = a.shape();
    writeln!(to, "%%MatrixMarket matrix coordinate real general\n{m} {n} {}", a.entries())?;
    for row in 0..m {
        let (columns, values) = a.row(row);
        for (column, value) in columns.iter().zip(values) {
            writeln!(to, "{} {} {value:e}", row + 1, column + 1)?;
        }
    }
    to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

#[cfg(test)]
#[path = "market_tests.rs"]
mod tests;
