from multiprocessing import Process, Queue
import numpy as np
from splitmix import bits


def steps(n):
    """Steps to 1 in the Collatz sequence."""
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


def produce(numbers, counters):
    for number in bits(np.arange(2000)) % 1_000_000 + 1:
        numbers.put(int(number))
    for _ in range(counters):
        numbers.put(None)


def count(numbers, counted):
    for number in iter(numbers.get, None):
        counted.put((steps(number), number))
    counted.put(None)


if __name__ == "__main__":
    numbers, counted, counters = Queue(), Queue(), 2
    stages = [Process(target=produce, args=(numbers, counters))]
    stages += [Process(target=count, args=(numbers, counted)) for _ in range(counters)]
    for stage in stages:
        stage.start()
    longest = max(result for _ in range(counters) for result in iter(counted.get, None))
    for stage in stages:
        stage.join()
    print(f"{longest[1]} takes {longest[0]} steps")
