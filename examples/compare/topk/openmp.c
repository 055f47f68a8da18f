#include "../splitmix.h"
#include <stdio.h>

enum { LEN = 200000, BEST = 5 };

typedef struct { int len, numbers[BEST]; } Top;
static uint64_t scores[LEN];

// Keeps the five highest scores, of equal ones those with the lower number.
static void offer(Top *top, int number) {
    int at = top->len;
    for (; at > 0; at--) {
        int other = top->numbers[at - 1];
        if (scores[other] > scores[number] || (scores[other] == scores[number] && other < number)) break;
        if (at < BEST) top->numbers[at] = other;
    }
    if (at < BEST) top->numbers[at] = number;
    if (top->len < BEST) top->len++;
}

int main(void) {
    #pragma omp parallel for
    for (int i = 0; i < LEN; i++) scores[i] = bits(i) % 50000;
    Top best = {0};
    #pragma omp parallel
    {
        Top own = {0};
        #pragma omp for
        for (int i = 0; i < LEN; i++) offer(&own, i);
        #pragma omp critical
        for (int k = 0; k < own.len; k++) offer(&best, own.numbers[k]);
    }
    for (int k = 0; k < best.len; k++)
        printf("record %d has %lu\n", best.numbers[k], scores[best.numbers[k]]);
}
