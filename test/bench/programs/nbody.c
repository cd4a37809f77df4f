/* Five bodies under gravity, double precision: dependent floating-point arithmetic, square roots. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BODIES = 5 };

static struct {
  double position[3], velocity[3], mass;
} body[BODIES];

static void step(double dt) {
  for (int i = 0; i < BODIES; i++) {
    for (int j = i + 1; j < BODIES; j++) {
      double d[3], square = 0;
      for (int k = 0; k < 3; k++) {
        d[k] = body[i].position[k] - body[j].position[k];
        square += d[k] * d[k];
      }
      const double pull = dt / (square * sqrt(square));
      for (int k = 0; k < 3; k++) {
        body[i].velocity[k] -= d[k] * body[j].mass * pull;
        body[j].velocity[k] += d[k] * body[i].mass * pull;
      }
    }
  }
  for (int i = 0; i < BODIES; i++)
    for (int k = 0; k < 3; k++) body[i].position[k] += dt * body[i].velocity[k];
}

int main(int argc, char** argv) {
  const int steps = argc > 1 ? atoi(argv[1]) : 1;
  for (int i = 0; i < BODIES; i++) {
    body[i].mass = i == 0 ? 40 : 0.01 * i;
    for (int k = 0; k < 3; k++) {
      body[i].position[k] = i * (k + 1.5) * (k == i % 3 ? -1 : 1);
      body[i].velocity[k] = i * 0.1 * (k - 1);
    }
  }
  for (int n = 0; n < steps; n++) step(0.001);
  for (int i = 0; i < BODIES; i++) printf("%.17g\n", body[i].position[i % 3]);
  return 0;
}
