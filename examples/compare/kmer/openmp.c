#include "../splitmix.h"
#include <stdio.h>
#include <string.h>

enum { LEN = 50000, K = 4, KMERS = 256 };
static const char BASES[] = "ACGT";
static char dna[LEN];

int main(void) {
    #pragma omp parallel for
    for (int i = 0; i < LEN; i++) dna[i] = BASES[bits(i) % 4];
    // No map: a table of all k-mers, which K letters of two bits number.
    int counts[KMERS] = {0};
    #pragma omp parallel for reduction(+ : counts)
    for (int i = 0; i < LEN - K + 1; i++) {
        int kmer = 0;
        for (int j = i; j < i + K; j++) kmer = kmer * 4 + (int)(strchr(BASES, dna[j]) - BASES);
        counts[kmer]++;
    }
    for (int place = 0; place < 3; place++) {
        int most = 0;
        for (int kmer = 1; kmer < KMERS; kmer++)
            if (counts[kmer] > counts[most]) most = kmer;
        for (int j = K - 1; j >= 0; j--) putchar(BASES[most >> 2 * j & 3]);
        printf(" %d\n", counts[most]);
        counts[most] = -1;
    }
}
