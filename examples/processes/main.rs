//! Processes and what they share: the small programs with which texts on Python's `multiprocessing` begin.
//!
//! Usage: `processes [continents|sums|cores|console|bank|list|all]`, by default all of them.
//! `--start-method` chooses how processes are started, `bank --without-lock` shows what the lock is for.

use clap::{Parser, Subcommand, ValueEnum};
use phalanx::process::{cpu_count, current_process};
use phalanx::shared::{Array, RawValue, Value};
use phalanx::sync::{Barrier, Event, Lock};
use phalanx::{Manager, Pool, Process, StartMethod};
use std::io::Write;
use std::time::Duration;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Processes, and what they share.
#[derive(Parser)]
struct Arguments {
    /// How processes are started.
    #[arg(long, value_enum, default_value_t = Method::ForkServer, global = true)]
    start_method: Method,
    #[command(subcommand)]
    topic: Option<Topic>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Method {
    Spawn,
    ForkServer,
    Fork,
}

#[derive(Clone, Copy, Subcommand)]
enum Topic {
    /// Three processes with an argument each.
    Continents,
    /// Four processes add their squares to one value and put them into one array.
    Sums,
    /// A process counts the cores.
    Cores,
    /// Five processes write to the console, one at a time.
    Console,
    /// 10,000 deposits and 10,000 withdrawals at the same time, ten times over.
    Bank {
        /// Lets deposits and withdrawals overwrite each other.
        #[arg(long)]
        without_lock: bool,
    },
    /// A list that a manager hosts, worked on by a pool and by processes.
    List,
    /// All of these.
    All,
}

/// Starts processes by the chosen method.
#[derive(Clone, Copy)]
struct Starter(StartMethod);

impl Starter {
    fn named(self, name: impl Into<String>) -> phalanx::process::ProcessBuilder {
        Process::builder().name(name).start_method(self.0)
    }
}

fn main() -> Outcome {
    let arguments = Arguments::parse();
    let start = Starter(match arguments.start_method {
        Method::Spawn => StartMethod::Spawn,
        Method::ForkServer => StartMethod::ForkServer,
        Method::Fork => StartMethod::Fork,
    });
    match arguments.topic.unwrap_or(Topic::All) {
        Topic::Continents => continents(start),
        Topic::Sums => sums(start),
        Topic::Cores => cores(start),
        Topic::Console => console(start),
        Topic::Bank { without_lock } => bank(start, without_lock),
        Topic::List => list(start),
        Topic::All => {
            continents(start)?;
            sums(start)?;
            cores(start)?;
            console(start)?;
            bank(start, false)?;
            list(start)
        }
    }
}

fn continents(start: Starter) -> Outcome {
    let processes = ["America", "Europe", "Africa"].map(|name| {
        start
            .named(name)
            .spawn(|continent: String| println!("Processing continent: {continent}"), name.to_string())
    });
    for process in processes {
        process?.join()?;
    }
    Ok(())
}

fn sums(start: Starter) -> Outcome {
    let (sum, squares) = (Value::new(0u64)?, Array::<u64>::zeros(10)?);
    let square = |(n, sum, squares): (u64, Value<u64>, Array<u64>)| {
        println!("Computed square of {n}: {}", n * n);
        let done = sum.update(|sum| sum + n * n).map(drop);
        done.and_then(|()| squares.set(n as usize, n * n)).map_err(|error| error.to_string())
    };
    let started = (1..=4u64)
        .map(|n| start.named(format!("square {n}")).spawn(square, (n, sum.clone(), squares.clone())));
    for process in started.collect::<Result<Vec<_>, _>>()? {
        process.join()??;
    }
    println!("Shared Sum: {}", sum.get()?);
    println!("Shared Array: {:?}", squares.to_vec()?);
    Ok(())
}

fn cores(start: Starter) -> Outcome {
    let count_cores = |()| cpu_count().map(|count| count.logical).map_err(|error| error.to_string());
    let count = start.named("count_cores").spawn(count_cores, ())?.join()??;
    println!("Number of cores is {count}.");
    Ok(())
}

/// Writes letter by letter, so that two writers at a time would show.
fn write_slowly(line: &str) -> std::io::Result<()> {
    let mut console = std::io::stdout();
    for letter in line.chars() {
        write!(console, "{letter}")?;
        console.flush()?;
        std::thread::yield_now();
    }
    writeln!(console)
}

fn console(start: Starter) -> Outcome {
    let lock = Lock::new(())?;
    let write = |(n, lock, holds): (u32, Lock<()>, Event)| {
        let held = lock.lock().map_err(|error| error.map(drop).to_string())?;
        holds.set();
        let written = write_slowly(&format!("Process {n} is writing to the console."));
        drop(held);
        written.map_err(|error| error.to_string())
    };
    let mut writers = Vec::new();
    for n in 1..=5 {
        let holds = Event::new()?;
        writers.push(start.named(format!("writer {n}")).spawn(write, (n, lock.clone(), holds.clone()))?);
        // Start the next one only now that this one is writing, so that it has to wait for the lock.
        if !holds.wait_timeout(Duration::from_secs(60)) {
            return Err("a writer does not get the lock".into());
        }
    }
    for writer in writers {
        writer.join()??;
    }
    Ok(())
}

fn bank(start: Starter, without_lock: bool) -> Outcome {
    const TIMES: u32 = 10_000;
    for run in 1..=10 {
        let balance = if without_lock {
            let account = RawValue::new(100i64)?;
            let both = Barrier::new(2)?;
            // Each reads, computes and writes back, overwriting what the other wrote meanwhile.
            let change = |(account, by, both): (RawValue<i64>, i64, Barrier)| {
                // Without it, the first one would be done before the other has begun.
                let _alone_at_worst = both.wait_timeout(Duration::from_secs(60));
                (0..TIMES).for_each(|_| account.set(account.get() + by));
            };
            let deposits = start.named("deposits").spawn(change, (account.clone(), 1, both.clone()))?;
            let withdrawals =
                start.named("withdrawals").spawn(change, (account.clone(), -1, both.clone()))?;
            deposits.join()?;
            withdrawals.join()?;
            account.get()
        } else {
            let account = Lock::new(100i64)?;
            let change = |(account, by): (Lock<i64>, i64)| {
                (0..TIMES).try_for_each(|_| match account.lock() {
                    Ok(mut balance) => {
                        *balance += by;
                        Ok(())
                    }
                    Err(error) => Err(error.map(drop).to_string()),
                })
            };
            let deposits = start.named("deposits").spawn(change, (account.clone(), 1))?;
            let withdrawals = start.named("withdrawals").spawn(change, (account.clone(), -1))?;
            deposits.join()??;
            withdrawals.join()??;
            let balance = account.lock().map_err(|error| error.map(drop).to_string())?;
            *balance
        };
        println!("Run {run}: {balance}");
    }
    Ok(())
}

fn list(start: Starter) -> Outcome {
    let manager = Manager::new()?;
    let numbers = manager.list::<i64>()?;
    numbers.extend(vec![1, 2, 3, 4])?;
    let pool = Pool::new()?;
    println!("Processed list: {:?}", pool.map(|n: i64| n * 2, numbers.to_vec()?)?);
    let append = |(numbers, n): (phalanx::manager::ListProxy<i64>, i64)| {
        numbers.push(n).map(|()| current_process().name).map_err(|error| error.to_string())
    };
    for n in [5, 6] {
        let name = start.named(format!("append {n}")).spawn(append, (numbers.clone(), n))?.join()??;
        println!("{name}: {:?}", numbers.to_vec()?);
    }
    Ok(())
}
