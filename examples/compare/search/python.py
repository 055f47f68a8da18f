from multiprocessing.pool import ThreadPool
import numpy as np
from splitmix import unit

x = unit(np.arange(500_000))
blocks = [slice(i, i + 10_000) for i in range(0, len(x), 10_000)]


def where(block):
    found = np.flatnonzero(x[block] > 0.9999)
    return block.start + found[0] if len(found) else None


with ThreadPool() as pool:
    # Leaving the block ends the calls that are not needed any more.
    first = next((at for at in pool.imap(where, blocks) if at is not None), None)
if first is not None:
    print(f"the first is x[{first}] = {x[first]:.6f}")
else:
    print("there is none")
with ThreadPool() as pool:
    any_below = any(pool.imap_unordered(lambda block: (x[block] < 0.0).any(), blocks))
    print("any below 0:", str(any_below).lower())
with ThreadPool() as pool:
    all_below = all(pool.imap_unordered(lambda block: (x[block] < 1.0).all(), blocks))
    print("all below 1:", str(all_below).lower())
