#include <math.h>
#include <stdio.h>

enum { LEN = 100000 };
static double areas[LEN], sums[LEN];

int main(void) {
    const double start = 0, end = 3, step = (end - start) / LEN;
    double area = 0;
    #pragma omp parallel for reduction(+ : area)
    for (int i = 0; i < LEN; i++) {
        double x = start + (i + 0.5) * step;
        areas[i] = exp(-x * x) * step;
        area += areas[i];
    }

    double sum = 0;
    #pragma omp parallel for reduction(inscan, + : sum)
    for (int i = 0; i < LEN; i++) {
        sum += areas[i];
        #pragma omp scan inclusive(sum)
        sums[i] = sum;
    }
    int half = 0;
    while (sums[half] < area / 2) half++;
    printf("the area is %.9f, half of it up to %.4f\n", area, start + half * step);
}
