#include "../splitmix.h"
#include <math.h>
#include <stdio.h>

enum { SIZE = 256, TILE = 64 };
static double a[SIZE][SIZE], transposed[SIZE][SIZE];

int main(void) {
    #pragma omp parallel for collapse(2)
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) a[i][j] = unit(i * SIZE + j);

    double lowest = INFINITY;
    #pragma omp parallel for collapse(2) reduction(min : lowest)
    for (int row = 0; row < SIZE; row += TILE) {
        for (int column = 0; column < SIZE; column += TILE) {
            double peak = -INFINITY;
            for (int i = row; i < row + TILE; i++)
                for (int j = column; j < column + TILE; j++) peak = fmax(peak, a[i][j]);
            lowest = fmin(lowest, peak);
        }
    }
    printf("the lowest peak of a tile is %.9f\n", lowest);

    #pragma omp parallel for collapse(2)
    for (int row = 0; row < SIZE; row += TILE)
        for (int column = 0; column < SIZE; column += TILE)
            for (int i = row; i < row + TILE; i++)
                for (int j = column; j < column + TILE; j++) transposed[j][i] = a[i][j];
    double sum = 0;
    for (int j = 0; j < SIZE; j++) sum += transposed[1][j];
    printf("row 1 of the transposed matrix sums up to %.6f\n", sum);
}
