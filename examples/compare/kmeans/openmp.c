#include "../splitmix.h"
#include <math.h>
#include <stdio.h>

enum { POINTS = 20000, CLUSTERS = 4 };

static int nearest(double centers[CLUSTERS][2], const double point[2]) {
    int best = 0;
    double least = INFINITY;
    for (int k = 0; k < CLUSTERS; k++) {
        double dx = point[0] - centers[k][0], dy = point[1] - centers[k][1];
        if (dx * dx + dy * dy < least) least = dx * dx + dy * dy, best = k;
    }
    return best;
}

int main(void) {
    static double points[POINTS][2];
    #pragma omp parallel for
    for (int i = 0; i < POINTS; i++) {
        int cluster = i % 4;
        points[i][0] = cluster + unit(2 * i);
        points[i][1] = (cluster - 1) * (cluster - 1) + unit(2 * i + 1);
    }
    double centers[CLUSTERS][2], sums[CLUSTERS][3];
    for (int k = 0; k < CLUSTERS; k++) centers[k][0] = points[k][0], centers[k][1] = points[k][1];
    for (int round = 0; round < 10; round++) {
        for (int k = 0; k < CLUSTERS; k++) sums[k][0] = sums[k][1] = sums[k][2] = 0;
        #pragma omp parallel for reduction(+ : sums)
        for (int i = 0; i < POINTS; i++) {
            double *sum = sums[nearest(centers, points[i])];
            sum[0] += points[i][0];
            sum[1] += points[i][1];
            sum[2] += 1;
        }
        for (int k = 0; k < CLUSTERS; k++) {
            centers[k][0] = sums[k][0] / sums[k][2];
            centers[k][1] = sums[k][1] / sums[k][2];
        }
    }
    for (int k = 0; k < CLUSTERS; k++)
        printf("%.0f points around %.6f %.6f\n", sums[k][2], centers[k][0], centers[k][1]);
}
