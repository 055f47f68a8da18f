// The same bodies and steps in C with OpenMP: leapfrog over all pairs.
//
// Usage: openmp BODIES STEPS STEP SOFTENING, with rows of x, y, z, vx, vy, vz, m in double precision on standard
// input. Prints the seconds of the steps and the kinetic energy at the end.
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef REAL
#define REAL double
#endif
#ifdef SINGLE
#define SQRT sqrtf
#else
#define SQRT sqrt
#endif

static REAL *array(size_t n) {
    REAL *a = aligned_alloc(64, (n * sizeof(REAL) + 63) / 64 * 64);
    if (!a) exit(1);
    return a;
}

static void attract(size_t n, REAL soft, const REAL *restrict x, const REAL *restrict y, const REAL *restrict z,
                    const REAL *restrict m, REAL *restrict ax, REAL *restrict ay, REAL *restrict az) {
#pragma omp parallel for schedule(dynamic, 64)
    for (size_t i = 0; i < n; i++) {
        REAL sx = 0, sy = 0, sz = 0, xi = x[i], yi = y[i], zi = z[i];
#pragma omp simd reduction(+ : sx, sy, sz)
        for (size_t j = 0; j < n; j++) {
            REAL dx = x[j] - xi, dy = y[j] - yi, dz = z[j] - zi;
            REAL square = dx * dx + dy * dy + dz * dz + soft;
            REAL pull = m[j] / (square * SQRT(square));
            sx += dx * pull;
            sy += dy * pull;
            sz += dz * pull;
        }
        ax[i] = sx, ay[i] = sy, az[i] = sz;
    }
}

static void advance(size_t n, REAL *restrict x, const REAL *restrict v, REAL t) {
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < n; i++) x[i] += v[i] * t;
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    size_t n = strtoull(argv[1], 0, 10), steps = strtoull(argv[2], 0, 10);
    REAL step = atof(argv[3]), softening = atof(argv[4]);
    REAL *a[10];
    for (int k = 0; k < 10; k++) a[k] = array(n);
    for (size_t i = 0; i < n; i++) {
        double row[7];
        if (fread(row, sizeof row, 1, stdin) != 1) return 2;
        for (int k = 0; k < 7; k++) a[k][i] = row[k];
    }
    double start = omp_get_wtime();
    attract(n, softening * softening, a[0], a[1], a[2], a[6], a[7], a[8], a[9]);
    for (size_t s = 0; s < steps; s++) {
        for (int k = 0; k < 3; k++) advance(n, a[3 + k], a[7 + k], step / 2);
        for (int k = 0; k < 3; k++) advance(n, a[k], a[3 + k], step);
        attract(n, softening * softening, a[0], a[1], a[2], a[6], a[7], a[8], a[9]);
        for (int k = 0; k < 3; k++) advance(n, a[3 + k], a[7 + k], step / 2);
    }
    double seconds = omp_get_wtime() - start, energy = 0;
    for (size_t i = 0; i < n; i++)
        energy += 0.5 * a[6][i] * ((double)a[3][i] * a[3][i] + (double)a[4][i] * a[4][i] + (double)a[5][i] * a[5][i]);
    printf("%.9f %.17g\n", seconds, energy);
    return 0;
}
