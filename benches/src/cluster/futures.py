"""Tasks through mpi4py.futures: python3 -m mpi4py.futures futures.py COUNT MICROSECONDS CHUNK."""
import sys
import time

from mpi4py.futures import MPIPoolExecutor


def task(pair):
    n, us = pair
    began = time.perf_counter_ns()
    while us > 0 and time.perf_counter_ns() - began < us * 1000:
        pass
    return n * n


def main():
    count, us, chunk = (int(word) for word in sys.argv[1:4])
    with MPIPoolExecutor() as pool:
        list(pool.map(task, ((n, us) for n in range(min(count, 1000))), chunksize=chunk))
        began = time.perf_counter_ns()
        squares = list(pool.map(task, ((n, us) for n in range(count)), chunksize=chunk))
        took = time.perf_counter_ns() - began
    print("map", took)
    print("check", sum(squares) % 2**64, flush=True)


if __name__ == "__main__":
    main()
