from multiprocessing import Pool
import numpy as np
from splitmix import bits

CITIES = ["Accra", "Bern", "Cusco", "Dhaka", "Evora", "Fes", "Gent", "Hanoi"]


def add(totals, city, count, value):
    n, total = totals.get(city, (0, 0))
    totals[city] = n + count, total + value


def group(lines):
    totals = {}
    for line in lines:
        city, value = line.split(",")
        add(totals, city, 1, int(value))
    return totals


if __name__ == "__main__":
    i = np.arange(50_000, dtype=np.uint64)
    rows = zip(bits(2 * i) % 8, bits(2 * i + 1) % 400)
    lines = "".join(f"{CITIES[city]},{value}\n" for city, value in rows).splitlines()

    totals = {}
    with Pool() as pool:
        for part in pool.imap_unordered(group, np.array_split(lines, 64)):
            for city, (count, value) in part.items():
                add(totals, city, count, value)
    for city, (count, value) in sorted(totals.items()):
        print(f"{city} {count} {value / count:.3f}")
