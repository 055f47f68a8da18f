#include "../splitmix.h"
#include <math.h>
#include <stdio.h>

enum { DARTS = 10000 };

static long hits(long seed) {
    long hits = 0;
    for (long i = seed * DARTS; i < (seed + 1) * DARTS; i++) hits += hypot(unit(2 * i), unit(2 * i + 1)) < 1;
    return hits;
}

int main(void) {
    long total = 0;
    #pragma omp parallel for reduction(+ : total) schedule(dynamic)
    for (long seed = 0; seed < 32; seed++) total += hits(seed);
    printf("pi is about %.6f\n", 4.0 * total / (32 * DARTS));
}
