"""The job of `survivor` with concurrent.futures and joblib: what is left of the map after the first bad item."""

import argparse
import multiprocessing
import os
import resource
import signal
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import TimeoutError as Late
from concurrent.futures.process import BrokenProcessPool

MASK = (1 << 64) - 1
ONE_IN = MEMORY = 0


def prepare(one_in, memory):
    global ONE_IN, MEMORY
    ONE_IN, MEMORY = one_in, memory
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def mix(index):
    z = (index + 1) * 0x9E3779B97F4A7C15 & MASK
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


def work(item):
    bits = mix(item)
    if bits % ONE_IN == 0:
        kind = (bits >> 32) % 5
        if kind == 0:
            os.kill(os.getpid(), signal.SIGSEGV)
        elif kind == 1:
            while True:
                pass
        elif kind == 2:
            hoard = []
            while True:
                hoard.append(bytearray(1 << 20))
        elif kind == 3:
            raise ValueError(f"no answer for {item}")
        else:
            raise AssertionError(f"{item} is a bad number")
    n, steps = item + 1, 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


def end(processes):
    """Ends what an executor would wait for without end."""
    for process in processes:
        process.kill()


def futures(items, one_in, memory, workers, limit):
    """One future an item, the only form in which each item has an outcome of its own."""
    pool = ProcessPoolExecutor(workers, initializer=prepare, initargs=(one_in, memory))
    begin, submitted, done, errors = time.monotonic(), [], 0, Counter()
    try:
        for item in range(items):
            submitted.append(pool.submit(work, item))
    except BrokenProcessPool:
        errors["never accepted (BrokenProcessPool)"] = items - len(submitted)
    for future in submitted:
        try:
            future.result(timeout=max(0.0, begin + limit - time.monotonic()))
            done += 1
        except Late:
            errors["not done at the time limit"] += 1
        except Exception as error:
            errors[type(error).__name__] += 1
    seconds = time.monotonic() - begin
    end(list((pool._processes or {}).values()))
    pool.shutdown(wait=False, cancel_futures=True)
    return done, errors, seconds


def parallel(items, one_in, memory, workers, limit):
    try:
        from joblib import Parallel, delayed
    except ImportError:
        return None
    begin, done, errors = time.monotonic(), 0, Counter()

    def each(item):
        if not ONE_IN:
            prepare(one_in, memory)
        return work(item)

    try:
        done = len(Parallel(workers, timeout=limit)(delayed(each)(item) for item in range(items)))
    except Exception as error:
        errors[type(error).__name__] = items
    return done, errors, time.monotonic() - begin


def tell(name, outcome, items):
    if outcome is None:
        print(f"{name:<20}not installed")
        return
    done, errors, seconds = outcome
    lost = ", ".join(f"{count} {error}" for error, count in errors.items())
    print(f"{name:<20}{done} of {items} results in {seconds:.1f} s; {lost or 'no errors'}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--one-in", type=int, default=5_000)
    parser.add_argument("--memory", type=int, default=256_000_000)
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--limit", type=float, default=20, help="seconds for each of the two")
    args = parser.parse_args()
    job = (args.items, args.one_in, args.memory, args.workers, args.limit)
    tell("concurrent.futures", futures(*job), args.items)
    tell("joblib", parallel(*job), args.items)
