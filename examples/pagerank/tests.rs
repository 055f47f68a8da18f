use crate::edges::{UNUSED, parse_part, read};
use crate::graph::Graph;
use crate::peer::{self, naive, naive_edges};
use crate::rank::{Until, iterate};
use phalanx::{Backend, Pool};
use std::io::Write as _;

const UNTIL: Until = Until { damping: 0.85, tolerance: 0.0, steps: 12 };

fn pool(workers: usize) -> Pool {
    Pool::builder().workers(workers).backend(Backend::Threads).build().unwrap()
}

/// Ranks for 1, 2 and 3 workers, which must be the same.
fn ranks(path: &std::path::Path) -> Vec<f64> {
    let of = |workers| {
        let pool = pool(workers);
        let graph = Graph::new(&pool, read(&pool, path).unwrap()).unwrap();
        iterate(&pool, &graph, UNTIL).unwrap().ranks.as_slice().to_vec()
    };
    let all = [of(1), of(2), of(3)];
    assert!(all[0] == all[1] && all[0] == all[2], "the same bits for any number of workers");
    all.into_iter().next().unwrap()
}

#[test]
fn it_agrees_with_the_definition_and_with_rayon() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("links.txt");
    for (pages, links) in [(1, 1), (7, 30), (3000, 40_000), (200_000, 300_000)] {
        crate::generate::generate(&pool(2), pages, links, 5, &path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let edges = naive_edges(&text);
        assert_eq!(edges.len() as u64, links);
        let ours = ranks(&path);
        assert_eq!(crate::difference(&ours, &naive(&edges, ours.len(), UNTIL, UNTIL.steps)), None);
        assert_eq!(crate::difference(&ours, &peer::run(2, &path, UNTIL).unwrap().ranks), None);
        assert!((ours.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let packed = folder.path().join("links.gz");
        let mut gzip = flate2::write::GzEncoder::new(
            std::fs::File::create(&packed).unwrap(),
            flate2::Compression::fast(),
        );
        gzip.write_all(text.as_bytes()).unwrap();
        gzip.finish().unwrap();
        assert_eq!(ranks(&packed), ours, "packed or not");
    }
}

#[test]
fn lines_are_read_as_they_are_written() {
    let parse = |text: &str| {
        let mut words = vec![0; text.lines().count() + 1];
        parse_part(text.as_bytes(), &mut words).map(|pages| {
            words.retain(|word| *word != UNUSED);
            (words.iter().map(|word| (word & 0xffff_ffff, word >> 32)).collect::<Vec<_>>(), pages)
        })
    };
    assert_eq!(parse("# a\n1\t2\n\n  3 4 \r\n0 0"), Ok((vec![(1, 2), (3, 4), (0, 0)], 5)));
    assert_eq!(parse("4294967294 0\n"), Ok((vec![(4_294_967_294, 0)], 4_294_967_295)));
    assert_eq!(parse(""), Ok((vec![], 0)));
    for wrong in ["1\n2\n", "1 x", "x", "1 2 3", "1,2", "4294967295 1", "99999999999 1", "-1 2", "1 2x"] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}
