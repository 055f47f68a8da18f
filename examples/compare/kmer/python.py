from collections import Counter
from multiprocessing import Pool
import numpy as np
from splitmix import bits

K = 4


def count(dna):
    return Counter(dna[i : i + K] for i in range(len(dna) - K + 1))


if __name__ == "__main__":
    dna = "".join("ACGT"[base] for base in bits(np.arange(50_000)) % 4)
    parts = [dna[i : i + 2500 + K - 1] for i in range(0, len(dna), 2500)]
    counts = Counter()
    with Pool() as pool:
        for more in pool.imap_unordered(count, parts):
            counts.update(more)
    for kmer, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]:
        print(kmer, n)
