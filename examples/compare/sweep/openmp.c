#include <math.h>
#include <stdio.h>

typedef struct {
    double speed, drag, step;
    const double *winds; // against the shot, by layers of 100 m
    int layers;
} Config;

// How far a shot at that angle goes, in metres.
static double distance(double degrees, const Config *config) {
    double angle = degrees * M_PI / 180, x = 0, y = 0;
    double vx = config->speed * cos(angle), vy = config->speed * sin(angle);
    while (y >= 0) {
        int layer = (int)(y / 100);
        double wind = config->winds[layer < config->layers ? layer : config->layers - 1];
        double speed = hypot(vx + wind, vy);
        vx -= config->step * config->drag * speed * (vx + wind);
        vy -= config->step * (9.81 + config->drag * speed * vy);
        x += config->step * vx;
        y += config->step * vy;
    }
    return x;
}

int main(void) {
    const double winds[] = {2, 5, 9, 14};
    const Config config = {.speed = 200, .drag = 0.001, .step = 0.05, .winds = winds, .layers = 4};
    double distances[360];
    #pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < 360; i++) distances[i] = distance(i / 4.0, &config);
    int best = 0;
    for (int i = 1; i < 360; i++)
        if (distances[i] > distances[best]) best = i;
    printf("%.2f degrees reach %.3f m\n", best / 4.0, distances[best]);
}
