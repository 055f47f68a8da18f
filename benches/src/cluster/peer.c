/* The same messages in bare MPI, without Phalanx: the peer of `phalanx-bench cluster`.
 *
 *   peer exchange ITERATIONS BYTES...   both of two processes send BYTES to each other: Isend, Irecv, Waitall
 *   peer allreduce ITERATIONS           MPI_Allreduce of one double
 *   peer barrier ITERATIONS             MPI_Barrier
 *   peer heat SWEEPS CELLS              sweeps of a five-point stencil over CELLS x CELLS, rows over the processes
 *   peer loggp ITERATIONS BYTES...      one-way times (half a round trip), then o and g
 *
 * Process 0 prints lines "NAME ns ns ..." (of heat: one time for all sweeps, and the sum of the plate). */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int me, size;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void print(const char *name, const double *samples, int n) {
    if (me != 0) return;
    printf("%s", name);
    for (int i = 0; i < n; i++) printf(" %.0f", samples[i]);
    printf("\n");
}

static void swap(char *out, char *in, int bytes) {
    MPI_Request both[2];
    MPI_Irecv(in, bytes, MPI_BYTE, 1 - me, 7, MPI_COMM_WORLD, &both[0]);
    MPI_Isend(out, bytes, MPI_BYTE, 1 - me, 7, MPI_COMM_WORLD, &both[1]);
    MPI_Waitall(2, both, MPI_STATUSES_IGNORE);
}

static void exchange(int n, int bytes) {
    char name[64], *out = calloc(bytes, 1), *in = calloc(bytes, 1);
    double *samples = calloc(n, sizeof *samples);
    for (int i = 0; i < 20; i++) swap(out, in, bytes);
    MPI_Barrier(MPI_COMM_WORLD);
    double last = now();
    for (int i = 0; i < n; i++) {
        swap(out, in, bytes);
        double t = now();
        samples[i] = t - last;
        last = t;
    }
    snprintf(name, sizeof name, "exchange_%d", bytes);
    print(name, samples, n);
    free(samples); free(in); free(out);
}

static void collective(const char *name, int n) {
    double *samples = calloc(n, sizeof *samples), one = 1, sum = 0;
    int reduces = strcmp(name, "allreduce") == 0;
    for (int i = -20; i < n; i++) {
        double start = now();
        if (reduces) MPI_Allreduce(&one, &sum, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
        else MPI_Barrier(MPI_COMM_WORLD);
        if (i >= 0) samples[i] = now() - start;
    }
    if (reduces && sum != size) MPI_Abort(MPI_COMM_WORLD, 1);
    print(name, samples, n);
    free(samples);
}

static void loggp(int n, int count, char **lengths) {
    double *samples = calloc(n, sizeof *samples);
    for (int k = 0; k < count; k++) {
        int bytes = atoi(lengths[k]);
        char name[64], *buffer = calloc(bytes, 1);
        for (int i = -20; i < n; i++) {
            double start = now();
            for (int turn = 0; turn < 2; turn++) {
                if (me == turn) MPI_Send(buffer, bytes, MPI_BYTE, 1 - me, 7, MPI_COMM_WORLD);
                else MPI_Recv(buffer, bytes, MPI_BYTE, 1 - me, 7, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            }
            if (i >= 0) samples[i] = (now() - start) / 2;
        }
        snprintf(name, sizeof name, "oneway_%d", bytes);
        print(name, samples, n);
        free(buffer);
    }
    /* o: the call alone, of a message that goes at once. g: one after the other. */
    enum { BURST = 32 };
    MPI_Request all[BURST];
    double buffers[BURST] = {0}, *gaps = calloc(n, sizeof *gaps);
    for (int i = -20; i < n; i++) {
        double start = now(), posted;
        for (int k = 0; k < BURST; k++) {
            if (me == 0) MPI_Isend(&buffers[k], 8, MPI_BYTE, 1, 8, MPI_COMM_WORLD, &all[k]);
            else MPI_Irecv(&buffers[k], 8, MPI_BYTE, 0, 8, MPI_COMM_WORLD, &all[k]);
        }
        posted = now() - start;
        MPI_Waitall(BURST, all, MPI_STATUSES_IGNORE);
        if (i >= 0) {
            samples[i] = posted / BURST;
            gaps[i] = (now() - start) / BURST;
        }
        MPI_Barrier(MPI_COMM_WORLD);
    }
    print("overhead", samples, n);
    print("gap", gaps, n);
    free(gaps); free(samples);
}

static void heat(int sweeps, int cells) {
    int first = (int)((long)cells * me / size), rows = (int)((long)cells * (me + 1) / size) - first;
    size_t width = cells, len = (rows + 2) * width;
    double *u = calloc(len, sizeof *u), *v = calloc(len, sizeof *v), sum = 0, all = 0;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cells; j++) u[(i + 1) * width + j] = ((first + i) * 31 + j * 17) % 101;
    int before = me > 0 ? me - 1 : MPI_PROC_NULL, after = me + 1 < size ? me + 1 : MPI_PROC_NULL;
    MPI_Barrier(MPI_COMM_WORLD);
    double start = now();
    for (int s = 0; s < sweeps; s++) {
        MPI_Request all[4];
        MPI_Irecv(u, cells, MPI_DOUBLE, before, 1, MPI_COMM_WORLD, &all[0]);
        MPI_Irecv(u + (rows + 1) * width, cells, MPI_DOUBLE, after, 2, MPI_COMM_WORLD, &all[1]);
        MPI_Isend(u + width, cells, MPI_DOUBLE, before, 2, MPI_COMM_WORLD, &all[2]);
        MPI_Isend(u + rows * width, cells, MPI_DOUBLE, after, 1, MPI_COMM_WORLD, &all[3]);
        MPI_Waitall(4, all, MPI_STATUSES_IGNORE);
        for (int i = 1; i <= rows; i++) {
            const double *restrict up = u + (i - 1) * width, *restrict at = up + width, *restrict down = at + width;
            double *restrict out = v + i * width;
            out[0] = out[cells - 1] = 0;
            for (int j = 1; j + 1 < cells; j++) out[j] = 0.25 * ((up[j] + down[j]) + (at[j - 1] + at[j + 1]));
        }
        double *t = u; u = v; v = t;
    }
    double took = now() - start;
    for (size_t i = width; i < (rows + 1) * width; i++) sum += u[i];
    MPI_Allreduce(&sum, &all, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    if (me == 0) printf("heat %.0f\ncheck %.17g\n", took, all);
    free(u); free(v);
}

int main(int argc, char **argv) {
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &me);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (argc < 3) MPI_Abort(MPI_COMM_WORLD, 2);
    const char *what = argv[1];
    int n = atoi(argv[2]);
    if (strcmp(what, "exchange") == 0) for (int k = 3; k < argc; k++)
        exchange(atoi(argv[k]) > 16384 ? (n + 9) / 10 : n, atoi(argv[k]));
    else if (strcmp(what, "loggp") == 0) loggp(n, argc - 3, argv + 3);
    else if (strcmp(what, "heat") == 0) heat(n, atoi(argv[3]));
    else collective(what, n);
    MPI_Finalize();
    return 0;
}
