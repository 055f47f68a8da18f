/* The same steps in C with OpenMP: openmp SIDE DIMENSIONS STEPS. Prints the seconds and the temperature of the first
   cell. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#define MODES 4
static const int modes[MODES][3] = {{1, 2, 0}, {5, 3, 1}, {12, 17, 4}, {60, 45, 9}};
static const double share = 1.0 / 12.0;

static double cosine(int half_waves, size_t i, size_t n) { return cos(M_PI * half_waves * (i + 0.5) / n); }

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    size_t n = strtoul(argv[1], 0, 10), d = strtoul(argv[2], 0, 10), steps = strtoul(argv[3], 0, 10);
    size_t lines = d == 3 ? n : 1, row = lines * n;
    double *u = malloc(n * row * sizeof *u), *v = malloc(n * row * sizeof *v);
    double *table = malloc(MODES * 3 * n * sizeof *table);
    if (!u || !v || !table) return 1;
    for (int m = 0; m < MODES; m++)
        for (size_t a = 0; a < d; a++)
            for (size_t i = 0; i < n; i++) table[(m * 3 + a) * n + i] = cosine(modes[m][a], i, n);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++)
        for (size_t l = 0; l < lines; l++)
            for (size_t k = 0; k < n; k++) {
                double sum = 1.0;
                for (int m = 0; m < MODES; m++) {
                    double in_plane = d == 3 ? table[(m * 3 + 1) * n + l] : 1.0;
                    sum += table[m * 3 * n + i] * in_plane * table[(m * 3 + d - 1) * n + k] / MODES;
                }
                u[i * row + l * n + k] = sum;
                v[i * row + l * n + k] = 0.0;
            }
    double start = omp_get_wtime();
    for (size_t step = 0; step < steps; step++) {
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < n; i++) {
            const double *before = u + (i ? i - 1 : 0) * row, *after = u + (i + 1 < n ? i + 1 : n - 1) * row;
            const double *centre = u + i * row;
            for (size_t l = 0; l < lines; l++) {
                const double *c = centre + l * n, *b = before + l * n, *a = after + l * n;
                const double *up = centre + (l ? l - 1 : 0) * n, *down = centre + (l + 1 < lines ? l + 1 : lines - 1) * n;
                double *restrict next = v + i * row + l * n;
                if (d == 2) {
                    for (size_t k = 1; k + 1 < n; k++) next[k] = c[k] + share * (c[k - 1] + c[k + 1] + b[k] + a[k] - 4 * c[k]);
                    next[0] = c[0] + share * (c[0] + c[1] + b[0] + a[0] - 4 * c[0]);
                    next[n - 1] = c[n - 1] + share * (c[n - 2] + c[n - 1] + b[n - 1] + a[n - 1] - 4 * c[n - 1]);
                } else {
                    for (size_t k = 1; k + 1 < n; k++)
                        next[k] = c[k] + share * (c[k - 1] + c[k + 1] + b[k] + a[k] + up[k] + down[k] - 6 * c[k]);
                    next[0] = c[0] + share * (c[0] + c[1] + b[0] + a[0] + up[0] + down[0] - 6 * c[0]);
                    next[n - 1] = c[n - 1] + share * (c[n - 2] + c[n - 1] + b[n - 1] + a[n - 1] + up[n - 1] + down[n - 1] - 6 * c[n - 1]);
                }
            }
        }
        double *swap = u;
        u = v;
        v = swap;
    }
    printf("%.6f %.17g\n", omp_get_wtime() - start, u[0]);
    return 0;
}
