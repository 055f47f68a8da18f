#include "../splitmix.h"
#include <stdio.h>

enum { ROWS = 200, COLUMNS = 300 };
static uint8_t image[ROWS][COLUMNS], blurred[ROWS][COLUMNS];

static int clamp(int i, int len) { return i < 0 ? 0 : i < len ? i : len - 1; }

int main(void) {
    #pragma omp parallel for
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) image[i][j] = i / 4 + j / 3 + bits(i * COLUMNS + j) % 100;
    #pragma omp parallel for
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLUMNS; j++) {
            int sum = 0;
            for (int di = -1; di <= 1; di++)
                for (int dj = -1; dj <= 1; dj++) sum += image[clamp(i + di, ROWS)][clamp(j + dj, COLUMNS)];
            blurred[i][j] = sum / 9;
        }
    }

    long histogram[8] = {0};
    #pragma omp parallel for reduction(+ : histogram)
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) histogram[blurred[i][j] / 32]++;
    for (int k = 0; k < 8; k++) printf("%s%ld", k ? ", " : "[", histogram[k]);
    printf("]\n");

    const int limit = 110;
    long bright = 0;
    #pragma omp parallel for reduction(+ : bright)
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLUMNS; j++) {
            blurred[i][j] = blurred[i][j] > limit ? 255 : 0;
            bright += blurred[i][j] == 255;
        }
    }
    printf("%ld pixels are brighter than %d\n", bright, limit);
}
