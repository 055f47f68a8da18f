/* The period of van der Pol's oscillator, x'' = mu (1 - x^2) x' - x, by a solver as they were written once: all that
 * it works on lies in static storage, as in a COMMON block of Fortran, so it solves one problem at a time. Steps by
 * Dormand and Prince (1980), with an error estimate; where x passes zero by Henon's step (1982), in which x is the
 * independent variable. */
#include <math.h>

#define STAGES 7
#define CYCLES 12 /* until the start is forgotten */

static double mu, tolerance;
static double time, step, state[2], next[2], slope[STAGES][2];

static const double weight[STAGES][STAGES - 1] = {
    {0},
    {1.0 / 5},
    {3.0 / 40, 9.0 / 40},
    {44.0 / 45, -56.0 / 15, 32.0 / 9},
    {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
    {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
    {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84},
};
static const double error_weight[STAGES] = {
    71.0 / 57600, 0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200, 22.0 / 525, -1.0 / 40,
};

static void derive(double x, double v, double *d)
{
    d[0] = v;
    d[1] = mu * (1.0 - x * x) * v - x;
}

/* Tries one step from `state` to `next`. Returns its error, in units of what is allowed. */
static double try_step(void)
{
    double worst = 0.0;
    for (int stage = 0; stage < STAGES; stage++) {
        for (int i = 0; i < 2; i++) {
            next[i] = state[i];
            for (int j = 0; j < stage; j++)
                next[i] += step * weight[stage][j] * slope[j][i];
        }
        derive(next[0], next[1], slope[stage]);
    }
    for (int i = 0; i < 2; i++) {
        double error = 0.0;
        for (int j = 0; j < STAGES; j++)
            error += step * error_weight[j] * slope[j][i];
        worst = fmax(worst, fabs(error) / (tolerance * (1.0 + fabs(next[i]))));
    }
    return worst;
}

/* One step whose error is small enough; the size of the next one is chosen by it. */
static void advance(void)
{
    for (;;) {
        double error = try_step();
        double factor = fmin(4.0, fmax(0.2, 0.9 * pow(error + 1e-30, -0.2)));
        if (error <= 1.0) {
            time += step;
            step *= factor;
            return;
        }
        step *= factor;
    }
}

/* When x was zero, just before `time`. */
static double crossing(void)
{
    double x = next[0], v = next[1], h = -x, t[4], k[4], d[2];
    for (int stage = 0; stage < 4; stage++) {
        double part = stage == 0 ? 0.0 : stage == 3 ? 1.0 : 0.5;
        double at = v + (stage ? part * h * k[stage - 1] : 0.0);
        derive(x + part * h, at, d);
        t[stage] = 1.0 / d[0];
        k[stage] = d[1] / d[0];
    }
    return time + h * (t[0] + 2.0 * t[1] + 2.0 * t[2] + t[3]) / 6.0;
}

double vdp_period(double mu_, double tolerance_)
{
    double before = 0.0;
    mu = mu_, tolerance = tolerance_;
    time = 0.0, step = 1e-3, state[0] = 2.0, state[1] = 0.0;
    for (int cycle = 0;;) {
        advance();
        if (state[0] < 0.0 && next[0] >= 0.0) {
            double now = crossing();
            if (cycle++ == CYCLES)
                return now - before;
            before = now;
        }
        state[0] = next[0], state[1] = next[1];
    }
}
