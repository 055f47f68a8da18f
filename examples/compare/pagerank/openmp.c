#include "../splitmix.h"
#include <math.h>
#include <stdio.h>

enum { PAGES = 5000 };
static int links[PAGES][8], degrees[PAGES];
static double ranks[PAGES], shares[PAGES];

int main(void) {
    // Each page is linked from eight random others.
    #pragma omp parallel for
    for (int i = 0; i < PAGES; i++) {
        for (int k = 0; k < 8; k++) {
            links[i][k] = bits(8 * i + k) % PAGES;
            #pragma omp atomic
            degrees[links[i][k]]++;
        }
        ranks[i] = 1.0 / PAGES;
    }

    for (int round = 0; round < 20; round++) {
        #pragma omp parallel for
        for (int i = 0; i < PAGES; i++) shares[i] = ranks[i] / (degrees[i] > 0 ? degrees[i] : 1);
        #pragma omp parallel for
        for (int i = 0; i < PAGES; i++) {
            double sum = 0;
            for (int k = 0; k < 8; k++) sum += shares[links[i][k]];
            ranks[i] = 0.15 / PAGES + 0.85 * sum;
        }
    }
    double first = 0, total = 0;
    #pragma omp parallel for reduction(max : first) reduction(+ : total)
    for (int i = 0; i < PAGES; i++) {
        first = fmax(first, ranks[i]);
        total += ranks[i];
    }
    printf("the highest rank is %.9f, all together %.9f\n", first, total);
}
