//! Ends the program when one call takes too long, after reporting what every thread was doing.

use std::fs::read_to_string;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest time that a call may take. The slowest calls are meant to take some 50 ms.
const LIMIT: Duration = Duration::from_secs(10);

type Watched = Arc<Mutex<Option<(&'static str, Instant)>>>;

/// Watches one call at a time.
pub struct Watchdog(Watched);

impl Watchdog {
    pub fn start() -> Watchdog {
        let watched: Watched = Arc::default();
        std::thread::spawn({
            let watched = watched.clone();
            move || loop {
                std::thread::sleep(Duration::from_millis(200));
                let now = *watched.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((name, since)) = now.filter(|(_, since)| since.elapsed() > LIMIT) {
                    eprintln!("chaos: {name} hangs since {:?}", since.elapsed());
                    dump();
                    std::process::exit(1);
                }
            }
        });
        Watchdog(watched)
    }

    /// Makes a call under watch.
    pub fn watched<R>(&self, name: &'static str, call: impl FnOnce() -> R) -> R {
        self.set(Some((name, Instant::now())));
        let result = call();
        self.set(None);
        result
    }

    fn set(&self, what: Option<(&'static str, Instant)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }
}

/// State and place in the kernel of all threads of this program and its children.
fn dump() {
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let path = task.path();
        tell(&path.to_string_lossy());
        let children = read_to_string(path.join("children")).unwrap_or_default();
        children.split_whitespace().for_each(|child| tell(&format!("/proc/{child}")));
    }
}

fn tell(path: &str) {
    let read = |file: &str| read_to_string(format!("{path}/{file}")).unwrap_or_default();
    let status = read("status");
    let state = status.lines().find(|line| line.starts_with("State")).unwrap_or("State: gone").to_string();
    eprintln!(
        "{path} {} {state} wchan {} syscall {}",
        read("comm").trim(),
        read("wchan"),
        read("syscall").trim()
    );
}
