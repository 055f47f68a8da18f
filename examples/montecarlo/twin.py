"""European, Asian and barrier calls with NumPy. Prints paths, seconds, the European price, its standard error."""

import sys
import time

import numpy as np

dates = int(sys.argv[1])
paths, block = 2_000_000, 100_000
spot, strike, barrier, rate, volatility = 100.0, 100.0, 130.0, 0.03, 0.2
step = 1.0 / dates
generator = np.random.default_rng(1)
sums, squares = np.zeros(4), np.zeros(4)
start = time.perf_counter()
for _ in range(paths // block):
    normals = generator.standard_normal((dates, block))
    logs = np.log(spot) + np.cumsum((rate - volatility**2 / 2) * step + volatility * np.sqrt(step) * normals, axis=0)
    prices = np.exp(logs)
    european = np.maximum(prices[-1] - strike, 0.0)
    payoffs = np.exp(-rate) * np.array([
        european,
        np.maximum(np.exp(logs.mean(axis=0)) - strike, 0.0),
        np.maximum(prices.mean(axis=0) - strike, 0.0),
        np.where(prices.max(axis=0) < barrier, european, 0.0),
    ])
    sums += payoffs.sum(axis=1)
    squares += (payoffs**2).sum(axis=1)
seconds = time.perf_counter() - start
price = sums[0] / paths
print(paths, seconds, price, np.sqrt((squares[0] / paths - price**2) / paths))
