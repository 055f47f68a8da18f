from multiprocessing.pool import ThreadPool
import numpy as np
from splitmix import bits

SIZE = 64


def step(cells, next, rows):
    near = sum(
        np.roll(cells.take(range(rows.start + di, rows.stop + di), axis=0, mode="wrap"), dj, axis=1)
        for di in (-1, 0, 1)
        for dj in (-1, 0, 1)
    )
    next[rows] = (near == 3) | ((near == 4) & (cells[rows] == 1))


cells = (bits(np.arange(SIZE * SIZE)) % 2).astype(np.uint8).reshape(SIZE, SIZE)
next = np.empty_like(cells)
bands = [slice(i, i + 8) for i in range(0, SIZE, 8)]
with ThreadPool() as pool:
    for _ in range(30):
        pool.starmap(step, [(cells, next, rows) for rows in bands])
        cells, next = next, cells
print(f"{cells.sum()} cells are alive")
