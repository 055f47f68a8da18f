"""The same system with SciPy: compare.py SIDE"""
import sys
import time

import numpy as np
from scipy.sparse import diags_array, eye_array, kron
from scipy.sparse.linalg import cg

n = int(sys.argv[1])
h = 1 / (n + 1)
x = np.arange(1, n + 1) * h
k = lambda x: 1 + 4 * x
one = eye_array(n)
along_x = diags_array([-k(x[1:] - h / 2), k(x - h / 2) + k(x + h / 2), -k(x[:-1] + h / 2)], offsets=[-1, 0, 1])
line = diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
beside = kron(line, one) + kron(one, line)
matrix = ((kron(along_x, eye_array(n * n)) + kron(diags_array(k(x)), beside)) / h**2).tocsr()
sx, sy = np.sin(np.pi * x)[:, None, None], np.sin(np.pi * x)[None, :, None]
yz = sy * np.sin(np.pi * x)[None, None, :]
u = sx * yz
kx = k(x)[:, None, None]
f = (3 * np.pi**2 * kx * u - 4 * np.pi * np.cos(np.pi * x)[:, None, None] * yz).ravel()
jacobi = diags_array(1 / matrix.diagonal())
iterations = 0


def count(_):
    global iterations
    iterations += 1


begun, used = time.perf_counter(), time.process_time()
solution, info = cg(matrix, f, rtol=1e-8, atol=0, M=jacobi, callback=count, maxiter=10_000)
seconds, used = time.perf_counter() - begun, time.process_time() - used
print(f"{iterations} iterations in {seconds:.3f} s ({used:.3f} s of CPU), off by {abs(solution - u.ravel()).max():.3e}")
