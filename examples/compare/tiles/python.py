from multiprocessing.pool import ThreadPool
import numpy as np
from splitmix import unit

SIZE, TILE = 256, 64
a = unit(np.arange(SIZE * SIZE)).reshape(SIZE, SIZE)
transposed = np.empty_like(a)
starts = range(0, SIZE, TILE)
tiles = [np.s_[i : i + TILE, j : j + TILE] for i in starts for j in starts]


def turn(tile):
    transposed.T[tile] = a[tile]


with ThreadPool() as pool:
    peaks = pool.map(lambda tile: a[tile].max(), tiles)
    pool.map(turn, tiles)
print(f"the lowest peak of a tile is {min(peaks):.9f}")
print(f"row 1 of the transposed matrix sums up to {transposed[1].sum():.6f}")
