"""The Python half of `bridge`: works in place on rows of an array that another program has, too.

The array is the file named in the command line. Each line of input names rows; a line of output says that they are done.
"""

import sys


def of_numpy(path):
    import numpy as np

    array = np.load(path, mmap_mode="r+")

    def work(first, end):
        rows = array[first:end]
        rows ^= rows >> np.uint64(7)

    return f"NumPy {np.__version__}", work


def of_the_standard_library(path):
    import mmap
    import struct

    with open(path, "r+b") as file:
        whole = memoryview(mmap.mmap(file.fileno(), 0))
    (header,) = struct.unpack_from("<H", whole, 8)
    array = whole[10 + header :].cast("Q")

    def work(first, end):
        for i in range(first, end):
            array[i] ^= array[i] >> 7

    return "mmap and memoryview, since there is no NumPy", work


try:
    means, work = of_numpy(sys.argv[1])
except ImportError:
    means, work = of_the_standard_library(sys.argv[1])
print(means, flush=True)
for line in sys.stdin:
    work(*map(int, line.split()))
    print("done", flush=True)
