use crate::filter::{Grey, blurred, edges, equalised, sobel};
use crate::generate::{Plan, Trouble, generate};
use crate::job::{Job, process, read_back};
use phalanx::{Backend, CancelToken, Pool};
use std::fs;

/// A picture without any pattern.
fn noise(width: usize, height: usize) -> Grey {
    let pixels = (0..width * height).map(|i| common::random(7, i as u64) as u8).collect();
    Grey { width, pixels }
}

/// Each pixel by a function of what surrounds it, found one by one.
fn by_pixel(picture: &Grey, of: impl Fn(&dyn Fn(i64, i64) -> i64) -> i64) -> Grey {
    let (width, height) = (picture.width as i64, (picture.pixels.len() / picture.width) as i64);
    let inside = |x: i64, y: i64| {
        i64::from(picture.pixels[(y.clamp(0, height - 1) * width + x.clamp(0, width - 1)) as usize])
    };
    let places = (0..width * height).map(|at| (at % width, at / width));
    let pixels = places.map(|(x, y)| of(&|dx, dy| inside(x + dx, y + dy)) as u8).collect();
    Grey { width: picture.width, pixels }
}

#[test]
fn filters_are_those_of_the_formulas() {
    for (width, height) in [(1, 1), (1, 9), (9, 1), (2, 3), (5, 5), (31, 17)] {
        let picture = noise(width, height);
        let weights = [1, 4, 6, 4, 1];
        let mean = by_pixel(&picture, |at| {
            let terms = (0..25).map(|i| (i % 5, i / 5));
            let sum: i64 = terms.map(|(x, y)| weights[x] * weights[y] * at(x as i64 - 2, y as i64 - 2)).sum();
            (sum + 128) / 256
        });
        assert_eq!(blurred(&picture), mean, "{width} x {height}");
        let steep = by_pixel(&picture, |at| {
            let side = |x: i64| at(x, -1) + 2 * at(x, 0) + at(x, 1);
            let end = |y: i64| at(-1, y) + 2 * at(0, y) + at(1, y);
            let square = (side(1) - side(-1)).pow(2) + (end(1) - end(-1)).pow(2);
            ((square as f64).sqrt().floor() as i64 / 4).min(255)
        });
        assert_eq!(sobel(&picture), steep, "{width} x {height}");
    }
}

#[test]
fn shades_are_spread_evenly() {
    let dark = Grey { width: 4, pixels: vec![3, 3, 4, 5] };
    assert_eq!(equalised(&dark).pixels, [0, 0, 128, 255]);
    assert_eq!(equalised(&Grey { width: 2, pixels: vec![200; 6] }).pixels, [0; 6]);
    let spread = equalised(&noise(256, 256));
    let below = |shade: u8| spread.pixels.iter().filter(|pixel| **pixel < shade).count() as f64 / 65536.0;
    assert!([64, 128, 192].iter().all(|shade| (below(*shade) - f64::from(*shade) / 256.0).abs() < 0.02));
}

#[test]
fn results_are_read_back_and_broken_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::builder().workers(2).backend(Backend::Threads).build().unwrap();
    let plan = Plan { files: 14, width: 33, height: 20, hostile: 7 };
    generate(&pool, plan, folder.path(), &CancelToken::new()).unwrap();
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!((names.len(), names.iter().filter(|name| Trouble::of_name(name).is_some()).count()), (14, 7));
    let (mut good, out) = (0, folder.path().join("out.png"));
    for name in &names {
        let from = folder.path().join(name).into_os_string();
        let job = Job { from, to: Some(out.clone().into_os_string()), memory: 1 << 26 };
        match Trouble::of_name(name) {
            None => {
                let done = process(job.clone()).unwrap();
                assert_eq!((done.width, done.height), (33, 20));
                let back = Job { from: out.clone().into_os_string(), ..job };
                assert_eq!(read_back(back), Ok(done), "{name}");
                good += 1;
            }
            // These would end the test, or never end.
            Some(Trouble::Segfault | Trouble::Endless | Trouble::Glutton) => {}
            Some(_) => assert!(process(job).is_err(), "{name}"),
        }
    }
    assert_eq!(good, 7);
    // All edges of a disc of one shade are at its rim.
    let disc =
        |at: usize| u8::from((at % 64).abs_diff(32).pow(2) + (at / 64).abs_diff(32).pow(2) < 400) * 200;
    let found = edges(&Grey { width: 64, pixels: (0..64 * 64).map(disc).collect() });
    assert_eq!((found.pixels[0], found.pixels[32 * 64 + 32]), (0, 0));
    assert!(found.pixels[32 * 64 + 52] > 200);
}
