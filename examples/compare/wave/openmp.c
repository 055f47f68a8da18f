#include <math.h>
#include <stdio.h>

enum { LEN = 5000 };

int main(void) {
    // The string is fixed at both ends, where it has an element more.
    static double strings[2][LEN + 2];
    double *u = strings[0], *before = strings[1];
    #pragma omp parallel for
    for (int i = 0; i < LEN; i++) u[i + 1] = before[i + 1] = exp(-pow((i - 1000) / 50.0, 2));
    const double speed = 0.25;
    const int steps = 200;
    for (int step = 0; step < steps; step++) {
        #pragma omp parallel for
        for (int i = 1; i <= LEN; i++)
            before[i] = 2 * u[i] - before[i] + speed * (u[i - 1] - 2 * u[i] + u[i + 1]);
        double *after = before;
        before = u;
        u = after;
    }
    double highest = -INFINITY;
    #pragma omp parallel for reduction(max : highest)
    for (int i = 1; i <= LEN; i++) highest = fmax(highest, u[i]);
    printf("%.6f high, %.6f at 1000, %.6f at 1100\n", highest, u[1001], u[1101]);
}
