from dataclasses import dataclass
from functools import partial
from math import cos, hypot, radians, sin
from multiprocessing import Pool
import numpy as np


@dataclass
class Config:
    speed: float
    drag: float
    step: float
    winds: list  # against the shot, by layers of 100 m


def distance(degrees, config):
    """How far a shot at that angle goes, in metres."""
    angle = radians(degrees)
    x, y, vx, vy = 0.0, 0.0, config.speed * cos(angle), config.speed * sin(angle)
    while y >= 0.0:
        wind = config.winds[min(int(y / 100.0), len(config.winds) - 1)]
        speed = hypot(vx + wind, vy)
        vx -= config.step * config.drag * speed * (vx + wind)
        vy -= config.step * (9.81 + config.drag * speed * vy)
        x, y = x + config.step * vx, y + config.step * vy
    return x


if __name__ == "__main__":
    config = Config(speed=200.0, drag=0.001, step=0.05, winds=[2.0, 5.0, 9.0, 14.0])
    angles = np.arange(360) / 4
    with Pool() as pool:
        distances = pool.map(partial(distance, config=config), angles)
    best = np.argmax(distances)
    print(f"{angles[best]:.2f} degrees reach {distances[best]:.3f} m")
