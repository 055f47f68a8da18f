from multiprocessing.pool import ThreadPool
import numpy as np
from splitmix import bits

PAGES = 5000
# Each page is linked from eight random others.
links = (bits(np.arange(8 * PAGES)) % PAGES).astype(np.int64).reshape(PAGES, 8)
degrees = np.bincount(links.ravel(), minlength=PAGES)
ranks = np.full(PAGES, 1 / PAGES)


def collect(pages):
    ranks[pages] = 0.15 / PAGES + 0.85 * shares[links[pages]].sum(axis=1)


with ThreadPool() as pool:
    for _ in range(20):
        shares = ranks / np.maximum(degrees, 1)
        pool.map(collect, [slice(i, i + 500) for i in range(0, PAGES, 500)])
print(f"the highest rank is {ranks.max():.9f}, all together {ranks.sum():.9f}")
