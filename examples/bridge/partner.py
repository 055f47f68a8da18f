"""The Python half of `bridge`: works in place on rows of an array that another program has, too.

It says what it works with, and when the file that the first line of input names is mapped. Each further line names rows; a
line of output says that they are done.
"""

import sys


def of_numpy(path):
    array = numpy.load(path, mmap_mode="r+")

    def work(first, end):
        rows = array[first:end]
        rows ^= rows >> numpy.uint64(7)

    return work


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

    return work


try:
    import numpy

    means, array_of = f"NumPy {numpy.__version__}", of_numpy
except ImportError:
    means, array_of = "mmap and memoryview, since there is no NumPy", of_the_standard_library
print(means, flush=True)
work = array_of(sys.stdin.readline().rstrip("\n"))
print("done", flush=True)
for line in sys.stdin:
    work(*map(int, line.split()))
    print("done", flush=True)
