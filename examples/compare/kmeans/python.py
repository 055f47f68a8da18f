from multiprocessing.pool import ThreadPool
import numpy as np
from splitmix import unit

CLUSTERS = 4


def sums(points, centers):
    distances = ((points[:, None] - centers) ** 2).sum(axis=2)
    labels = distances.argmin(axis=1)
    weights = points[:, 0], points[:, 1], None
    return np.stack([np.bincount(labels, w, CLUSTERS) for w in weights], axis=1)


i = np.arange(20_000, dtype=np.uint64)
cluster = i % 4.0
points = np.stack([cluster + unit(2 * i), (cluster - 1.0) ** 2 + unit(2 * i + 1)], axis=1)
centers = points[:CLUSTERS]
with ThreadPool() as pool:
    for _ in range(10):
        parts = [(part, centers) for part in np.array_split(points, 8)]
        total = sum(pool.starmap(sums, parts))
        centers, sizes = total[:, :2] / total[:, 2:], total[:, 2]
for (x, y), size in zip(centers, sizes):
    print(f"{size:.0f} points around {x:.6f} {y:.6f}")
