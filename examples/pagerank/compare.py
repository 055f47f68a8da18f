"""The same ranks with SciPy: compare.py LINKS STEPS [OURS]"""
import sys
import time

import numpy as np
from scipy.sparse import csr_array

begun = time.perf_counter()


def lap():
    global begun
    now = time.perf_counter()
    seconds, begun = now - begun, now
    return seconds


with open(sys.argv[1], "rb") as file:
    at = 0
    while (line := file.readline()).startswith(b"#"):
        at = file.tell()
    file.seek(at)
    links = np.fromfile(file, dtype=np.int64, sep=" ").reshape(-1, 2)
print(f"read  {lap():.3f} s")
sources, targets = links.T
pages = links.max() + 1
degrees = np.bincount(sources, minlength=pages)
present = (degrees > 0) | (np.bincount(targets, minlength=pages) > 0)
graph = csr_array((1.0 / degrees[sources], (targets, sources)), shape=(pages, pages))
print(f"graph {lap():.3f} s")
n = present.sum()
ranks = present / n
used = time.process_time()
for _ in range(int(sys.argv[2])):
    stuck = ranks[degrees == 0].sum()
    ranks = np.where(present, (0.15 + 0.85 * stuck) / n + 0.85 * (graph @ ranks), 0.0)
print(f"ranks {lap():.3f} s ({time.process_time() - used:.3f} s of CPU)")
if len(sys.argv) > 3:
    ours = np.load(sys.argv[3])
    print(f"ranks differ by {(abs(ours - ranks) / np.maximum(ranks, 1e-300)).max():.1e} of themselves at most")
