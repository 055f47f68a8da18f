/* The workloads of `phalanx-bench compare` in C with OpenMP. Arguments: workload, elements, workers, seconds.
   Prints the nanoseconds of each run, one a line, and at the end "check" with the sum of what was computed. */
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WIDTH 1024
#define STEPS 200
#define WORDS 6

static size_t n;
static double *a, *b, *c;
static uint64_t *words;

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static void *array(size_t bytes) {
    void *memory = NULL;
    if (posix_memalign(&memory, 4096, bytes ? bytes : 1) != 0) exit(2);
    return memory;
}

static double value(size_t i) { return 1.0 + (double)(i % 1021); }

static double total(const double *x, size_t len) {
    double sum = 0.0;
    for (size_t i = 0; i < len; i++) sum += x[i];
    return sum;
}

static void fill(double (*with)(size_t)) {
    a = array(n * sizeof *a), b = array(n * sizeof *b), c = array(n * sizeof *c);
    #pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) a[i] = 0.0, b[i] = c[i] = with(i);
}

/* An empty body on every thread; a hundred in a run. */
static double empty(void) {
    for (int i = 0; i < 100; i++) {
        #pragma omp parallel
        { __asm__ volatile("" ::: "memory"); }
    }
    return 100.0;
}
static double nothing(void) { return 0.0; }

static double triad(void) {
    #pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) a[i] = b[i] + 0.4 * c[i];
    return 1.0;
}
static double all_of_a(void) { return total(a, n); }

static double found;
static double sum(void) {
    double sum = 0.0;
    #pragma omp parallel for simd schedule(static) reduction(+ : sum)
    for (size_t i = 0; i < n; i++) sum += b[i];
    found = sum;
    return 1.0;
}
static double found_sum(void) { return found; }

static double squares(void) {
    #pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        uint64_t x = i;
        __asm__ volatile("" : "+r"(x));
        words[i] = x * x;
    }
    return 1.0;
}
static double all_words(void) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += words[i] % 1000003;
    return (double)sum;
}

static double uneven(void) {
    #pragma omp parallel for schedule(dynamic, 64)
    for (size_t i = 0; i < n; i++) {
        uint64_t word = i, steps = 1 + 999 * (uint64_t)i / n;
        for (uint64_t step = 0; step < steps; step++) {
            word ^= step;
            __asm__ volatile("" : "+r"(word));
            word *= 0x9e3779b97f4a7c15u;
        }
        words[i] = word;
    }
    return 1.0;
}

static double height(size_t i) { return (double)((i / WIDTH * 7 + i % WIDTH * 13) % 64); }
static double heat(void) {
    size_t rows = n / WIDTH;
    #pragma omp parallel for schedule(static)
    for (size_t i = 0; i < rows; i++) {
        const double *here = b + i * WIDTH, *above = i ? here - WIDTH : here;
        const double *below = i + 1 < rows ? here + WIDTH : here;
        double *out = a + i * WIDTH;
        out[0] = here[0], out[WIDTH - 1] = here[WIDTH - 1];
        for (size_t j = 1; j < WIDTH - 1; j++)
            out[j] = 0.5 * here[j] + 0.125 * (above[j] + below[j] + here[j - 1] + here[j + 1]);
    }
    return 1.0;
}

static double *states[2];
static void start(double *state) {
    for (size_t w = 0; w < n * WORDS; w++) {
        double unit = (double)(((uint64_t)(w + 1) * 0x9e3779b97f4a7c15u) >> 11) / 9007199254740992.0;
        state[w] = w % WORDS < 3 ? unit : (unit - 0.5) * 0.1;
    }
}
static double bodies(void) {
    start(states[0]);
    for (int step = 0; step < STEPS; step++) {
        const double *from = states[step % 2];
        double *to = states[(step + 1) % 2];
        #pragma omp parallel for schedule(static)
        for (size_t i = 0; i < n; i++) {
            const double *own = from + i * WORDS;
            double pull[3] = {0.0, 0.0, 0.0};
            for (size_t j = 0; j < n; j++) {
                const double *other = from + j * WORDS;
                double x = other[0] - own[0], y = other[1] - own[1], z = other[2] - own[2];
                double squared = x * x + y * y + z * z + 0.05 * 0.05;
                double strength = 1.0 / (squared * sqrt(squared));
                pull[0] += strength * x, pull[1] += strength * y, pull[2] += strength * z;
            }
            for (int k = 0; k < 3; k++) {
                double velocity = own[3 + k] + 1e-3 * pull[k];
                to[i * WORDS + 3 + k] = velocity;
                to[i * WORDS + k] = own[k] + 1e-3 * velocity;
            }
        }
    }
    return STEPS;
}
static double all_of_state(void) { return total(states[STEPS % 2], n * WORDS); }

/* The run returns how many pieces it did, of which one is printed. */
struct workload {
    const char *name;
    double (*run)(void);
    double (*check)(void);
};
static const struct workload all[] = {
    {"empty", empty, nothing},       {"triad", triad, all_of_a},      {"sum", sum, found_sum},
    {"map", squares, all_words},     {"uneven", uneven, all_words},   {"heat", heat, all_of_a},
    {"bodies", bodies, all_of_state},
};

int main(int count, char **words_given) {
    if (count != 5) return 2;
    n = strtoull(words_given[2], NULL, 10);
    omp_set_dynamic(0);
    omp_set_num_threads(atoi(words_given[3]));
    double seconds = atof(words_given[4]);
    for (size_t at = 0; at < sizeof all / sizeof *all; at++) {
        if (strcmp(all[at].name, words_given[1]) != 0) continue;
        if (strcmp(all[at].name, "heat") == 0) n = (n + WIDTH - 1) / WIDTH * WIDTH;
        fill(strcmp(all[at].name, "heat") == 0 ? height : value);
        words = array(n * sizeof *words);
        for (int k = 0; k < 2; k++) start(states[k] = array(n * WORDS * sizeof(double)));
        all[at].run();
        double began = now_ns();
        for (int run = 0; run < 80; run++) {
            double start = now_ns();
            double pieces = all[at].run();
            double end = now_ns();
            printf("%.1f\n", (end - start) / pieces);
            if (end - began > 1e9 * seconds) break;
        }
        printf("check %.17g\n", all[at].check());
        return 0;
    }
    return 2;
}
