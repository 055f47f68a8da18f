//! Named arrays and real NumPy: each sees what the other writes. SKIPPED where python3 or numpy is missing.
#![allow(unsafe_code)]
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use ndarray::{Array2, Ix2, IxDyn};
use phalanx::npy::{AxisOrder, Header, Kind, NpyError};
use phalanx::{AttachError, MappedArray, PrivateArray, SharedArray};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Runs a script with `path` as its argument; `None` (and a line that says why) where there is no NumPy.
fn python(script: &str, path: &Path) -> Option<Child> {
    let probe = Command::new("python3").args(["-c", "import numpy"]).stderr(Stdio::null()).status();
    let reason = match probe {
        Err(error) => format!("python3 cannot be run: {error}"),
        Ok(status) if !status.success() => "python3 has no numpy".to_owned(),
        Ok(_) => {
            let child = Command::new("python3")
                .args(["-c", script])
                .arg(path)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn();
            return Some(child.unwrap());
        }
    };
    println!("SKIPPED: {reason}");
    None
}

/// Runs a script to its end; whether there was one to run.
fn run(script: &str, path: &Path) -> bool {
    let Some(child) = python(script, path) else { return false };
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the script failed: {}", output.status);
    true
}

/// A Python that answers line by line.
struct Peer(Child, ChildStdin, BufReader<ChildStdout>);

impl Peer {
    fn start(script: &str, path: &Path) -> Option<Peer> {
        let mut child = python(script, path)?;
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Some(Peer(child, stdin, BufReader::new(stdout)))
    }

    fn ask(&mut self, line: &str) -> String {
        writeln!(self.1, "{line}").unwrap();
        let mut answer = String::new();
        self.2.read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }

    fn end(self) {
        let Peer(mut child, stdin, _) = self;
        drop(stdin);
        assert!(child.wait().unwrap().success());
    }
}

const EVAL: &str = "
import sys, numpy
a = numpy.load(sys.argv[1], mmap_mode='r+')
for line in sys.stdin:
    exec(line) if '=' in line else print(eval(line), flush=True)
    if '=' in line: print('done', flush=True)
";

#[test]
fn numpy_sees_our_writes_and_we_see_numpys() {
    let dir = tempfile::tempdir().unwrap();
    let shm = Path::new("/dev/shm");
    let in_memory = tempfile::Builder::new().prefix("phalanx-test").tempdir_in(shm);
    let dirs = [Some(dir.path()), in_memory.as_ref().ok().map(|d| d.path())];
    for dir in dirs.into_iter().flatten() {
        let path = dir.join("a.npy");
        // SAFETY: the peer below takes turns with us.
        let mut a = unsafe { SharedArray::<f64, Ix2>::create_npy(&path, (3, 4)) }.unwrap();
        let Some(mut peer) = Peer::start(EVAL, &path) else { return };
        assert_eq!(peer.ask("(a.dtype.str, a.shape, a.flags.c_contiguous)"), "('<f8', (3, 4), True)");
        a.view_mut()[[1, 2]] = 6.5;
        assert_eq!(peer.ask("float(a[1, 2])"), "6.5");
        assert_eq!(peer.ask("a[2, 3] = -1.25"), "done");
        assert_eq!(a.view()[[2, 3]], -1.25);

        // A second attachment is the same bytes.
        // SAFETY: as above.
        let again = unsafe { SharedArray::<f64, Ix2>::attach_npy(&path) }.unwrap();
        assert_eq!(peer.ask("a[0, 0] = 9.0"), "done");
        assert_eq!((again.view()[[0, 0]], a.view()[[0, 0]]), (9.0, 9.0));
        peer.end();
        drop((a, again));
        assert!(path.exists(), "a named array stays");
    }
}

#[test]
fn files_that_numpy_saved_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let script = "
import sys, numpy
p = sys.argv[1]
a = numpy.arange(24, dtype='<i4').reshape(2, 3, 4)
numpy.save(p + '.npy', a)
numpy.save(p + '_fortran.npy', numpy.asfortranarray(a[0]))
numpy.save(p + '_big.npy', a[0].astype('>f8'))
numpy.save(p + '_scalar.npy', numpy.float32(2.5))
numpy.save(p + '_bool.npy', a[0] > 3)
numpy.save(p + '_complex.npy', a[0].astype('c16'))
numpy.save(p + '_struct.npy', numpy.zeros(3, dtype=[('x', 'f8'), ('y', 'i4', (2,))]))
numpy.save(p + '_object.npy', numpy.array([None, 'x'], dtype=object))
numpy.save(p + '_empty.npy', numpy.zeros((0, 5), dtype='f4'))
with open(p + '_v2.npy', 'wb') as f: numpy.lib.format.write_array(f, a, version=(2, 0))
with open(p + '_v3.npy', 'wb') as f: numpy.lib.format.write_array(f, a, version=(3, 0))
numpy.savez(p + '.npz', a=a)
";
    if !run(script, &path) {
        return;
    }
    let file = |suffix: &str| dir.path().join(format!("a{suffix}"));
    let plane = Array2::from_shape_fn((3, 4), |(i, j)| (4 * i + j) as i32);
    for suffix in [".npy", "_v2.npy", "_v3.npy"] {
        let a = SharedArray::<i32, IxDyn>::load_npy(file(suffix)).unwrap();
        assert_eq!((a.shape(), a.as_slice()), (&[2, 3, 4][..], &(0..24).collect::<Vec<_>>()[..]));
        // SAFETY: nobody writes the file.
        let mapped = unsafe { MappedArray::<i32, ndarray::Ix3>::map_npy(file(suffix)) }.unwrap();
        assert_eq!(mapped.as_slice(), a.as_slice());
    }
    let turned = SharedArray::<i32, Ix2>::load_npy(file("_fortran.npy")).unwrap();
    assert_eq!(turned.view(), plane);
    let header = Header::read(file("_fortran.npy")).unwrap();
    assert_eq!(header.order(), AxisOrder::ColumnMajor);
    let swapped = SharedArray::<f64, Ix2>::load_npy(file("_big.npy")).unwrap();
    assert_eq!(swapped.view(), plane.mapv(f64::from));
    // SAFETY: nobody writes the file.
    let error = unsafe { MappedArray::<f64, Ix2>::map_npy(file("_big.npy")) }.unwrap_err();
    assert!(matches!(error, AttachError::ElementType { .. }), "{error}");
    assert_eq!(SharedArray::<f32, IxDyn>::load_npy(file("_scalar.npy")).unwrap().as_slice(), [2.5]);
    assert_eq!(SharedArray::<f32, Ix2>::load_npy(file("_empty.npy")).unwrap().dim(), (0, 5));
    for (suffix, kind) in [
        ("_bool.npy", Kind::Bool),
        ("_complex.npy", Kind::Complex),
        ("_struct.npy", Kind::Structured),
        ("_object.npy", Kind::Object),
    ] {
        assert_eq!(Header::read(file(suffix)).unwrap().dtype().kind(), kind);
        let error = SharedArray::<f64, IxDyn>::load_npy(file(suffix)).unwrap_err();
        assert!(matches!(error, AttachError::ElementType { .. }), "{error}");
    }
    let error = Header::read(file(".npz")).unwrap_err();
    assert!(matches!(error, NpyError::NotNpy { .. }) && error.to_string().contains("npz"), "{error}");
}

#[test]
fn numpy_reads_what_we_save() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    SharedArray::<i16, _>::from_shape_fn((2, 3), |(i, j)| (i * 3 + j) as i16)
        .unwrap()
        .save_npy(&path)
        .unwrap();
    let check = "
import sys, numpy
a = numpy.load(sys.argv[1])
assert a.dtype == 'i2' and a.tolist() == [[0, 1, 2], [3, 4, 5]], a
";
    run(check, &path);
}

#[test]
fn private_changes_stay_in_this_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    SharedArray::from_slice(&[1u32, 2, 3]).unwrap().save_npy(&path).unwrap();
    // SAFETY: nobody writes the file.
    let mut a = unsafe { PrivateArray::<u32>::map_npy(&path) }.unwrap();
    a.as_mut_slice()[1] = 20;
    a.view_mut()[2] = 30;
    assert_eq!((a.as_slice(), a.view().sum()), (&[1, 20, 30][..], 51));
    assert_eq!(SharedArray::<u32>::load_npy(&path).unwrap().as_slice(), [1, 2, 3]);
}
