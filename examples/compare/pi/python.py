from multiprocessing import Pool
import numpy as np
from splitmix import unit

DARTS = 10_000


def hits(seed):
    i = np.arange(seed * DARTS, (seed + 1) * DARTS)
    return np.count_nonzero(np.hypot(unit(2 * i), unit(2 * i + 1)) < 1)


if __name__ == "__main__":
    with Pool() as pool:
        total = sum(pool.map(hits, range(32)))
    print(f"pi is about {4 * total / (32 * DARTS):.6f}")
