"""The spectrum of a signal by scipy.signal.welch and by NumPy in blocks, and how far another one is from theirs."""

import sys
import time

import numpy as np
import scipy
from scipy import fft, signal

BLOCK = 1024


def in_blocks(x, n, threads):
    """The same by hand: 1024 windows at a time, which fit in the cache better than all."""
    hann = signal.get_window("hann", n).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(x, n)[:: n // 2]
    power = np.zeros(n // 2 + 1)
    for first in range(0, len(windows), BLOCK):
        part = windows[first : first + BLOCK]
        part = fft.rfft((part - part.mean(axis=1, keepdims=True)) * hann, workers=threads)
        power += (part.real**2 + part.imag**2).sum(axis=0, dtype=np.float64)
    power[1:-1] *= 2.0
    return power / len(windows) / np.square(hann, dtype=np.float64).sum()


def measure(name, density, work):
    begin, cpu = time.perf_counter(), time.process_time()
    found = work()
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    # The first two bins hold what rounding has left of the mean.
    apart = np.abs(density[2:] / found[2:] - 1.0).max()
    print(f"{name}: {seconds:.3f} s ({cpu:.3f} s of CPU), at most {apart:.1e} apart", flush=True)
    if apart > 1e-3:
        sys.exit("the spectra differ")


path, segment, other, threads = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
x = np.load(path, mmap_mode="r")
density = np.fromfile(other)
measure(f"NumPy in blocks, {threads} threads", density, lambda: in_blocks(x, segment, threads))
with fft.set_workers(threads):
    measure(f"scipy {scipy.__version__} welch, {threads} threads", density, lambda: signal.welch(x, nperseg=segment)[1])
