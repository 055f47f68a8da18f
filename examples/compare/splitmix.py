# Random numbers by place (splitmix64), the same in every language: see also splitmix.rs and splitmix.h.
import numpy as np


def bits(i):
    """64 random bits for each index of an array."""
    z = (np.asarray(i, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def unit(i):
    """A random number from 0 to 1 for each index of an array."""
    return (bits(i) >> np.uint64(11)) / float(1 << 53)
