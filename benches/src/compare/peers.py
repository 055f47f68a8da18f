"""The workloads of `phalanx-bench compare` in Python. Arguments: runtime, workload, elements, workers, seconds.
Prints the nanoseconds of each run, one a line, and at the end "check" with the sum of what was computed.
`probe` as the only argument prints what there is."""

import sys
import time


def square(n):
    return n * n


def nothing(_):
    return None


def with_numpy(workload, n, _workers):
    import numpy as np

    values = 1.0 + (np.arange(n) % 1021).astype(np.float64)
    if workload == "triad":
        a, c = np.zeros(n), values.copy()

        def run():
            np.multiply(c, 0.4, out=a)
            np.add(values, a, out=a)

        return run, lambda: float(a.sum()), 1
    if workload == "sum":
        found = []
        return lambda: found.append(float(values.sum())), lambda: found[-1], 1
    if workload == "map":
        numbers = np.arange(n, dtype=np.uint64)
        out = np.zeros_like(numbers)
        return lambda: np.multiply(numbers, numbers, out=out), lambda: float((out % 1000003).sum()), 1
    return None


def with_multiprocessing(workload, n, workers):
    import multiprocessing

    pool = multiprocessing.Pool(workers)
    if workload == "empty":
        return lambda: pool.map(nothing, range(workers), 1), lambda: 0.0, 1
    if workload == "map":
        found = [None]

        def run():
            found[0] = pool.map(square, range(n))

        return run, lambda: float(sum(x % 1000003 for x in found[0])), 1
    return None


def with_joblib(workload, _n, workers):
    import joblib

    parallel = joblib.Parallel(n_jobs=workers)
    parallel.__enter__()
    if workload == "empty":
        return lambda: parallel(joblib.delayed(nothing)(i) for i in range(workers)), lambda: 0.0, 1
    return None


RUNTIMES = {"numpy": with_numpy, "multiprocessing": with_multiprocessing, "joblib": with_joblib}


def probe():
    for name in RUNTIMES:
        try:
            module = __import__(name)
            print(name, getattr(module, "__version__", sys.version.split()[0]))
        except ImportError as error:
            print("-", name, error)


def main():
    if sys.argv[1:] == ["probe"]:
        return probe()
    runtime, workload, n, workers, seconds = sys.argv[1:]
    made = RUNTIMES[runtime](workload, int(n), int(workers))
    if made is None:
        sys.exit(f"{runtime} has no {workload} here")
    run, check, pieces = made
    run()
    began = time.perf_counter_ns()
    for _ in range(80):
        start = time.perf_counter_ns()
        run()
        end = time.perf_counter_ns()
        print((end - start) / pieces)
        if end - began > 1e9 * float(seconds):
            break
    print("check", repr(float(check())))


if __name__ == "__main__":
    main()
