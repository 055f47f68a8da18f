//! How workers are initialized, how long they stay, and how they are started.

use crate::{Outcome, Setting};
use phalanx::{Backend, StartMethod};
use std::collections::BTreeMap;
use std::sync::OnceLock;

type Greeting = (String, u32, f64);

/// Each worker process has its own; threads share one.
static GREETING: OnceLock<Greeting> = OnceLock::new();

pub fn initializer(setting: &Setting) -> Outcome {
    let initialize = |arguments: Greeting| {
        let _first_of_threads = GREETING.set(arguments);
    };
    let pool = setting.builder(2).initializer(initialize, ("hello".into(), 3, 0.5)).build()?;
    let greet = |n: u32| match GREETING.get() {
        Some((word, times, factor)) => format!("{word} {}", f64::from(n * times) * factor),
        None => "not initialized".into(),
    };
    println!("{:?}", pool.tasks().always_out().map(greet, 1..=4)?);
    // An initializer that fails is reported here, not by the first task.
    match setting.builder(2).initializer(|()| Err::<(), _>("no licence"), ()).build() {
        Ok(_) => println!("The pool was made."),
        Err(error) => println!("No pool: {error}"),
    }
    Ok(())
}

pub fn max_tasks(setting: &Setting) -> Outcome {
    if setting.backend == Backend::Threads {
        println!("Threads stay for as long as their pool.");
        return Ok(());
    }
    let pool = setting.builder(1).max_tasks_per_worker(5).build()?;
    let mut tasks_of = BTreeMap::<u32, usize>::new();
    for pid in pool.tasks().chunksize(1).map(|_: u32| std::process::id(), 0..20)? {
        *tasks_of.entry(pid).or_default() += 1;
    }
    let most = tasks_of.values().max().copied().unwrap_or(0);
    println!("20 tasks ran in {} processes, at most {most} in each.", tasks_of.len());
    Ok(())
}

pub fn start_methods(setting: &Setting) -> Outcome {
    for method in [StartMethod::Spawn, StartMethod::ForkServer, StartMethod::Fork] {
        let pool = setting.builder(2).start_method(method).build()?;
        println!("{method:?}: {:?}", pool.map(|n: u64| n * n, 1..=5)?);
    }
    Ok(())
}
