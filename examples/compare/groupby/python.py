from multiprocessing import Pool
import numpy as np
from splitmix import bits

CITIES = ["Accra", "Bern", "Cusco", "Dhaka", "Evora", "Fes", "Gent", "Hanoi"]


def group(lines):
    cities = {}
    for line in lines:
        city, value = line.split(",")
        count, total = cities.get(city, (0, 0))
        cities[city] = count + 1, total + int(value)
    return cities


if __name__ == "__main__":
    i = np.arange(50_000, dtype=np.uint64)
    rows = zip(bits(2 * i) % 8, bits(2 * i + 1) % 400)
    lines = "".join(f"{CITIES[city]},{value}\n" for city, value in rows).splitlines()

    cities = {}
    with Pool() as pool:
        for part in pool.imap_unordered(group, np.array_split(lines, 64)):
            for city, (n, more) in part.items():
                count, total = cities.get(city, (0, 0))
                cities[city] = count + n, total + more
    for city, (count, total) in sorted(cities.items()):
        print(f"{city} {count} {total / count:.3f}")
