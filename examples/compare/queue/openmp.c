#include "../splitmix.h"
#include <stdio.h>

enum { LEN = 2000 };
static uint64_t numbers[LEN];
static int lengths[LEN];

// Steps to 1 in the Collatz sequence.
static int steps(uint64_t n) {
    int steps = 0;
    for (; n != 1; steps++) n = n % 2 == 0 ? n / 2 : 3 * n + 1;
    return steps;
}

int main(void) {
    int longest = 0;
    // No queue: tasks that wait for each other.
    #pragma omp parallel
    #pragma omp single
    for (int i = 0; i < LEN; i++) {
        #pragma omp task depend(out : numbers[i])
        numbers[i] = bits(i) % 1000000 + 1;
        #pragma omp task depend(in : numbers[i]) depend(out : lengths[i])
        lengths[i] = steps(numbers[i]);
        #pragma omp task depend(in : lengths[i]) depend(inout : longest)
        if (lengths[i] > lengths[longest] ||
            (lengths[i] == lengths[longest] && numbers[i] > numbers[longest])) longest = i;
    }
    printf("%lu takes %d steps\n", numbers[longest], lengths[longest]);
}
