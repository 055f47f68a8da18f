#include "../splitmix.h"
#include <math.h>
#include <stdio.h>

enum { LEN = 50000 };
static double signal[LEN], smooth[LEN];

static int clamp(int i) { return i < 0 ? 0 : i < LEN ? i : LEN - 1; }

// The sum of all steps between neighbours.
static double roughness(const double *x) {
    double sum = 0;
    #pragma omp parallel for reduction(+ : sum)
    for (int i = 0; i < LEN - 1; i++) sum += fabs(x[i + 1] - x[i]);
    return sum;
}

int main(void) {
    #pragma omp parallel for
    for (int i = 0; i < LEN; i++) signal[i] = sin(i / 500.0) + unit(i);
    const double weights[] = {1 / 16.0, 4 / 16.0, 6 / 16.0, 4 / 16.0, 1 / 16.0};
    #pragma omp parallel for
    for (int i = 0; i < LEN; i++) {
        smooth[i] = 0;
        for (int k = 0; k < 5; k++) smooth[i] += weights[k] * signal[clamp(i + k - 2)];
    }
    printf("roughness %.6f, then %.6f\n", roughness(signal), roughness(smooth));
}
