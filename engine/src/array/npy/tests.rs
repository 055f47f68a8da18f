use super::header::Fault;
use super::*;
use proptest::prelude::*;
use std::path::Path;

fn file(version: (u8, u8), text: &str) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend([version.0, version.1]);
    let len = text.len() as u32;
    bytes.extend(if version.0 == 1 { len.to_le_bytes()[..2].to_vec() } else { len.to_le_bytes().to_vec() });
    bytes.extend(text.as_bytes());
    bytes
}

fn parse(text: &str) -> Result<Header, Fault> {
    Header::parse(&file((1, 0), text), u64::MAX)
}

#[test]
fn headers_as_numpy_writes_them_are_read() {
    let h = parse("{'descr': '<f4', 'fortran_order': False, 'shape': (336776,), }          \n").unwrap();
    assert_eq!((h.dtype().kind(), h.dtype().width(), h.shape()), (Kind::Float, 4, &[336_776][..]));
    assert!(h.dtype().is::<f32>() && !h.dtype().is::<u32>() && !h.dtype().is::<f64>());
    let h = parse("{'descr': '>i8', 'fortran_order': True, 'shape': (2, 3), }").unwrap();
    assert_eq!((h.dtype().byte_order(), h.order()), (ByteOrder::Big, AxisOrder::ColumnMajor));
    assert_eq!(h.dtype().to_string(), "int64 (big-endian)");
    assert_eq!(parse("{'descr': '|b1', 'fortran_order': False, 'shape': ()}").unwrap().len(), 1);
    // Python 2 wrote long integers with an L.
    assert_eq!(parse("{'descr':'<u2','fortran_order':False,'shape':(4L,)}").unwrap().shape(), [4]);
    for version in [(2, 0), (3, 0)] {
        let bytes = file(version, "{'descr': '<c16', 'fortran_order': False, 'shape': (1, 0)}");
        let h = Header::parse(&bytes, 200).unwrap();
        assert_eq!((h.version(), h.dtype().to_string().as_str()), (version, "complex128"));
    }
    let h = parse("{'descr': [('a', '<f8'), ('b', '<i4', (2,))], 'fortran_order': False, 'shape': (3,), }")
        .unwrap();
    assert_eq!(h.dtype().kind(), Kind::Structured);
    assert_eq!(h.dtype().to_string(), "structured [('a', '<f8'), ('b', '<i4', (2,))]");
    for (descr, kind) in
        [("|O", Kind::Object), ("<M8[ns]", Kind::DateTime), ("<U7", Kind::Unicode), ("|S3", Kind::Bytes)]
    {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,)}}");
        assert_eq!(parse(&text).unwrap().dtype().kind(), kind, "{descr}");
    }
}

#[test]
fn damaged_headers_are_refused_with_a_reason() {
    let bad = |text: &str, expect: &str| match parse(text) {
        Err(Fault::Bad(reason)) => assert!(reason.contains(expect), "{text}: {reason}"),
        other => panic!("{text}: {other:?}"),
    };
    bad("", "ends too early");
    bad("[]", "no dictionary");
    bad("{'descr': '<f4', 'fortran_order': False}", "no entry shape");
    bad("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", "fortran_order is of the wrong type");
    bad("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "negative");
    bad("{'descr': '<f4', 'fortran_order': False, 'shape': (1.5,)}", "unexpected '.'");
    bad("{'descr': '<f4', 'fortran_order': False, 'shape': 5}", "shape is of the wrong type");
    bad("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "too large");
    bad("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}", "unknown entry \"x\"");
    bad("{'descr': '<f3', 'fortran_order': False, 'shape': (1,)}", "\"<f3\" is unknown");
    for descr in
        ["", "<", "F8", "<float64", "Float64", "i3", "d8", "b8", "c1", " <f8", "<f8 ", "f8x", "x", "é"]
    {
        bad(&format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (1,)}}"), "unknown");
    }
    bad("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x", "unexpected 'x'");
    bad(&"[".repeat(60_000), "too deep");
}

/// What `numpy.load` of NumPy 2.4 makes of these, on 64-bit Linux.
#[test]
fn every_spelling_that_numpy_reads_is_read() {
    let table = "
        <f8: <f8 f8 =f8 |f8 d <d =d |d float64 float double 1f8 <f08
        >f8: >f8 >d
        <f4: <f4 f4 f float32 single
        <f2: e f2 half float16
        |i1: |i1 i1 <i1 >i1 =i1 b int8 byte
        |u1: |u1 u1 <u1 B uint8 ubyte
        <i2: h i2 short int16
        <u2: H u2 ushort uint16
        <i4: i i4 intc int32
        >i4: >i >i4
        <u4: I u4 uintc uint32
        <i8: l q p n <l <q i8 int int_ int64 intp long longlong
        <u8: L Q P N u8 uint uint64 uintp ulong ulonglong
        |b1: ? <? b1 |b1 bool
        <c8: F c8 complex64 csingle
        <c16: D <D c16 complex complex128 cdouble
        <f16: g f16 longdouble float128
        |S5: S5 |S5 <S5 a5
        <U3: U3 <U3 |U3
        |V8: V8 |V8 <V8
        <M8[ns]: M8[ns] <M8[ns] datetime64[ns]
        <m8: m8 <m8 timedelta64";
    for line in table.lines().filter(|line| !line.trim().is_empty()) {
        let (name, spellings) = line.split_once(": ").unwrap();
        let want = DType::parse(name.trim()).unwrap();
        for spelling in spellings.split_whitespace() {
            let text = format!("{{'descr': '{spelling}', 'fortran_order': False, 'shape': (2,)}}");
            let header = parse(&text).unwrap_or_else(|fault| panic!("{spelling}: {fault:?}"));
            let got = header.dtype();
            assert_eq!((got.kind(), got.width()), (want.kind(), want.width()), "{spelling}");
            assert_eq!(got.byte_order(), want.byte_order(), "{spelling}");
        }
    }
    for several in ["<f8,<f8", "f8, i4", "(3,)f8", "3f8"] {
        assert_eq!(DType::parse(several).unwrap().kind(), Kind::Structured, "{several}");
    }
}

#[test]
fn headers_as_python_may_spell_them_are_read() {
    for text in [
        "{\"descr\": \"<f8\", \"fortran_order\": False, \"shape\": (2, 3,)}",
        "{u'descr': u'<f8', 'fortran_order': False, 'shape': (2L, 3L)}",
        " \n({'descr': ('<f8'), 'fortran_order': (False), 'shape': ((2), 3)})\r\n\t ",
        "{'descr': '<f8', # a comment\n 'fortran_order': False, 'shape': (+2, 3)}  # another",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (0x2, 0b1_1)}",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 0o3), 'descr': '<f8'}",
    ] {
        let header = parse(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
        assert!(header.dtype().is::<f64>() && header.shape() == [2, 3], "{text}");
    }
}

#[test]
fn sizes_are_checked_against_the_file_and_the_address_space() {
    let text = "{'descr': '<f8', 'fortran_order': False, 'shape': (4, 3)}";
    let bytes = file((1, 0), text);
    let need = bytes.len() as u64 + 96;
    assert!(Header::parse(&bytes, need).is_ok());
    assert_eq!(Header::parse(&bytes, need - 1), Err(Fault::Truncated(need)));
    for shape in ["(4611686018427387904, 4)", "(18446744073709551615,)", "(18446744073709551615, 2, 0)"] {
        let text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}");
        assert!(matches!(parse(&text), Err(Fault::Overflow(..))), "{shape}");
    }
}

#[test]
fn every_prefix_of_a_header_is_told_apart() {
    let bytes = file((1, 0), "{'descr': '<f8', 'fortran_order': False, 'shape': (0,)}");
    for end in 0..bytes.len() {
        let fault = Header::parse(&bytes[..end], end as u64).unwrap_err();
        match end {
            0 => assert_eq!(fault, Fault::Empty),
            _ => assert!(matches!(fault, Fault::Truncated(_)), "{end}: {fault:?}"),
        }
    }
    assert!(matches!(Header::parse(b"PK\x03\x04....", 8), Err(Fault::NotNpy(h)) if h.contains("npz")));
    assert!(matches!(Header::parse(b"1.0,2.0\n", 8), Err(Fault::NotNpy(h)) if h.contains("text")));
    assert_eq!(Header::parse(b"\x93NUMPY\x04\x00\x00\x00", 10), Err(Fault::Version(4, 0)));
    let long = [&MAGIC[..], &[2, 0, 0xff, 0xff, 0xff, 0xff]].concat();
    assert!(matches!(Header::parse(&long, 12), Err(Fault::Bad(_))));
}

#[test]
fn files_that_are_none_get_one_clear_line() {
    let dir = tempfile::tempdir().unwrap();
    let line = |path: &Path| {
        let text = Header::read(path).unwrap_err().to_string();
        assert!(text.contains(&format!("{path:?}")) && !text.contains('\n'), "{text}");
        text
    };
    let file = dir.path().join("a.npy");
    assert!(line(&file).contains("no such file"));
    assert!(line(&file.join("b")).contains("no such file"));
    std::fs::write(&file, b"").unwrap();
    assert!(line(&file).contains("empty"));
    std::fs::write(&file, b"\x93NUMPY\x01\x00").unwrap();
    assert!(line(&file).contains("truncated"));
    assert!(line(dir.path()).contains("a directory"));
    assert!(line(Path::new("/dev/null")).contains("character device"));
    let fifo = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    // Opening it would wait for a writer.
    assert!(line(&fifo).contains("a pipe"));
    let socket = dir.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert!(line(&socket).contains("a socket"));
}

#[test]
fn written_headers_are_page_aligned_and_read_back() {
    let shapes: [&[usize]; 5] = [&[], &[5], &[2, 3], &[0, 7, 1], &[1; 40]];
    for shape in shapes {
        let dtype = DType::of::<i16>();
        let bytes = header_bytes(&dtype, shape);
        assert!(bytes.len().is_multiple_of(DATA_ALIGN));
        let header = Header::parse(&bytes, u64::MAX).unwrap();
        assert_eq!((header.dtype(), header.shape(), header.data_offset()), (&dtype, shape, bytes.len()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), len in any::<u64>()) {
        let _ = Header::parse(&bytes, len);
    }

    #[test]
    fn no_header_text_makes_the_parser_panic(
        text in r"[{}()\[\]':,0-9L<>|=bfiucMSUVO \\TrueFalsN.-]{0,120}",
        version in 1u8..4,
    ) {
        let _ = Header::parse(&file((version, 0), &text), u64::MAX);
    }

    #[test]
    fn a_damaged_header_never_claims_more_than_the_file_has(
        at in prop::collection::vec((0usize..128, any::<u8>()), 1..6),
        shape in prop::collection::vec(0usize..50, 0..4),
        file_len in 0u64..100_000,
    ) {
        let text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({},), }}",
            shape.iter().map(usize::to_string).collect::<Vec<_>>().join(","));
        let mut bytes = file((1, 0), &text);
        for (at, byte) in at {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Ok(header) = Header::parse(&bytes, file_len) {
            prop_assert!(header.data_offset() as u64 + header.data_bytes() as u64 <= file_len);
            prop_assert!(header.data_offset() <= bytes.len());
        }
    }

    #[test]
    fn every_shape_and_type_survives_writing(shape in prop::collection::vec(0usize..1_000_000, 0..6)) {
        let dtype = DType::of::<u8>();
        match Header::parse(&header_bytes(&dtype, &shape), u64::MAX) {
            Ok(header) => prop_assert_eq!(header.shape(), &shape[..]),
            Err(fault) => prop_assert!(matches!(fault, Fault::Overflow(..))),
        }
    }
}
