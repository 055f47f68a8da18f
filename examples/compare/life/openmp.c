#include "../splitmix.h"
#include <stdio.h>

enum { SIZE = 64 };

int main(void) {
    static uint8_t boards[2][SIZE][SIZE];
    #pragma omp parallel for collapse(2)
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) boards[0][i][j] = bits(i * SIZE + j) % 2;
    for (int step = 0; step < 30; step++) {
        uint8_t(*cells)[SIZE] = boards[step % 2], (*next)[SIZE] = boards[(step + 1) % 2];
        #pragma omp parallel for
        for (int i = 0; i < SIZE; i++) {
            for (int j = 0; j < SIZE; j++) {
                int near = 0;
                for (int di = SIZE - 1; di <= SIZE + 1; di++)
                    for (int dj = SIZE - 1; dj <= SIZE + 1; dj++)
                        near += cells[(i + di) % SIZE][(j + dj) % SIZE];
                next[i][j] = near == 3 || (near == 4 && cells[i][j]);
            }
        }
    }
    long live = 0;
    #pragma omp parallel for collapse(2) reduction(+ : live)
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) live += boards[0][i][j];
    printf("%ld cells are alive\n", live);
}
