#include "../splitmix.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

enum { LEN = 500000 };
static double x[LEN];

int main(void) {
    #pragma omp parallel for
    for (int i = 0; i < LEN; i++) x[i] = unit(i);

    // A loop cannot be left: what is of no interest any more is skipped.
    atomic_int first = LEN;
    #pragma omp parallel for schedule(dynamic, 10000)
    for (int i = 0; i < LEN; i++) {
        int least = atomic_load_explicit(&first, memory_order_relaxed);
        if (i < least && x[i] > 0.9999)
            while (i < least && !atomic_compare_exchange_weak(&first, &least, i)) {}
    }
    if (first < LEN) printf("the first is x[%d] = %.6f\n", first, x[first]);
    else printf("there is none\n");

    atomic_bool any = false, all = true;
    #pragma omp parallel for
    for (int i = 0; i < LEN; i++)
        if (!atomic_load_explicit(&any, memory_order_relaxed) && x[i] < 0) any = true;
    #pragma omp parallel for
    for (int i = 0; i < LEN; i++)
        if (atomic_load_explicit(&all, memory_order_relaxed) && !(x[i] < 1)) all = false;
    printf("any below 0: %s\n", any ? "true" : "false");
    printf("all below 1: %s\n", all ? "true" : "false");
}
