"""The same points and the same first centroids with scikit-learn: compare.py POINTS START MOVES [OURS]"""
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")
import numpy as np
from sklearn.cluster import KMeans

points, start = np.load(sys.argv[1]), np.load(sys.argv[2])
model = KMeans(len(start), init=start, n_init=1, max_iter=int(sys.argv[3]), tol=0, algorithm="lloyd")
begun, used = time.perf_counter(), time.process_time()
model.fit(points)
seconds, used = time.perf_counter() - begun, time.process_time() - used
print(f"{model.n_iter_} moves in {seconds:.3f} s ({used:.3f} s of CPU), inertia {model.inertia_:.6e}")
if len(sys.argv) > 4:
    print(f"centroids differ by {abs(model.cluster_centers_ - np.load(sys.argv[4])).max():.1e} at most")
