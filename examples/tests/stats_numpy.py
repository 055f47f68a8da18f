"""Compares the program `stats` with NumPy: python3 stats_numpy.py PROGRAM FOLDER [FILE.npy ...].

Makes arrays of every element type with values that are awkward, runs the program on each, and compares count, NaN
count, extremes with positions, percentiles and histogram exactly, mean and standard deviation to float64 rounding.
"""

import json
import math
import subprocess
import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")
PERCENTS = [1, 5, 25, 50, 75, 95, 99]


def number(x):
    return math.nan if x is None else float(x) if isinstance(x, str) else x


def same(a, b):
    return a == b or (a != a and b != b)


def near(a, b, scale):
    return same(a, b) or abs(a - b) <= 1e-11 * max(abs(a), abs(b)) + 1e-13 * scale


def run(program, path, *options):
    done = subprocess.run([program, "--json", *options, path], capture_output=True, text=True)
    assert done.returncode == 0, f"{path}: exit {done.returncode}: {done.stderr}"
    return json.loads(done.stdout)


def percentiles(kept):
    """NumPy's, but for integers whose neighbours differ by more than their type holds: there it wraps around."""
    if kept.size == 0:
        return [math.nan] * 7
    return [float(x) for x in np.percentile(kept, PERCENTS)]


def spread(wide, scale):
    """NumPy's standard deviation, of numbers near 1: the squares of tiny ones vanish, and those of huge ones overflow."""
    power = math.frexp(scale)[1]
    return math.ldexp(float(np.std(np.ldexp(wide, -power))), power)


def compare(name, got, a):
    flat = a.ravel()
    nan = np.isnan(flat) if flat.dtype.kind == "f" else np.zeros(flat.shape, bool)
    kept = flat[~nan]
    wide = kept.astype("f8")
    want = {"count": flat.size, "nan": int(nan.sum())}
    if kept.size:
        want |= {"min": np.nanmin(flat).item(), "argmin": int(np.nanargmin(flat))}
        want |= {"max": np.nanmax(flat).item(), "argmax": int(np.nanargmax(flat))}
    for key, value in want.items():
        assert same(number(got[key]), value), f"{name}: {key} is {got[key]}, NumPy has {value}"
    if not kept.size:
        assert got["mean"] is None and got["std"] is None and got["min"] is None and got["argmin"] is None, name
    scale = float(np.abs(wide[np.isfinite(wide)]).max(initial=0.0))
    for key, value in (("mean", np.mean(wide)), ("std", spread(wide, scale))):
        assert near(number(got[key]), float(value), scale), f"{name}: {key} is {got[key]}, NumPy has {value!r}"
    for p, value in zip(PERCENTS, percentiles(kept)):
        have = number(got["percentiles"][str(p)])
        assert same(have, value), f"{name}: percentile {p} is {have!r}, NumPy has {value!r}"
    if kept.size:
        kind = kept.dtype if kept.dtype.kind in "iu" else np.float64
        edges = np.array([number(edge) for edge in got["histogram"]["edges"]], dtype=kind)
        # numpy.histogram converts integers to float64, which is not exact above 2**53.
        order = np.sort(kept)
        cuts = np.searchsorted(order, edges[1:-1].astype(kind), side="left")
        counts = np.diff(np.concatenate([[0], cuts, [kept.size]]))
        assert got["histogram"]["counts"] == counts.tolist(), f"{name}: histogram"


def arrays():
    random = np.random.default_rng(7)
    n = 300_000
    for width in (1, 2, 4, 8):
        for kind in "iu":
            t = np.dtype(f"{kind}{width}")
            low, high = np.iinfo(t).min, np.iinfo(t).max
            yield f"uniform-{t.name}", random.integers(low, high, n, t, endpoint=True)
            yield f"small-{t.name}", random.integers(0, 100, n).astype(t)
            yield f"ends-{t.name}", np.array([low, low, high, high] * 50 + [high // 2] * 1000, t)
            yield f"one-{t.name}", np.array([high], t)
            yield f"nd-{t.name}", random.integers(0, 100, (3, 4, 500)).astype(t)
    for width in (2, 4, 8):
        t = np.dtype(f"f{width}")
        yield f"normal-{t.name}", random.normal(3, 20, n).astype(t)
        yield f"tiny-{t.name}", (random.normal(0, 1, n) * np.finfo(t).smallest_subnormal * 50).astype(t)
        heavy = (random.standard_cauchy(n)).astype(t)
        heavy[~np.isfinite(heavy)] = 0
        yield f"heavy-{t.name}", heavy
        holes = random.normal(0, 1, n).astype(t)
        holes[random.random(n) < 0.3] = np.nan
        yield f"nan-{t.name}", holes
        yield f"sorted-{t.name}", np.sort(holes)
        ends = holes.copy()
        ends[[5, 17, 99]] = [np.inf, np.inf, -np.inf]
        yield f"inf-{t.name}", ends
        yield f"all-inf-{t.name}", np.full(77, np.inf, t)
        yield f"all-nan-{t.name}", np.full(77, np.nan, t)
        yield f"zeros-{t.name}", np.array([0.0, -0.0, 0.0, -0.0] * 500, t)
        yield f"equal-{t.name}", np.full(5000, 0.1, t)
        yield f"one-{t.name}", np.array([1.5], t)
        yield f"scalar-{t.name}", np.array(2.5, t)
        yield f"offset-{t.name}", (1000 + random.random(n)).astype(t)
        yield f"two-{t.name}", np.array([np.finfo(t).min, np.finfo(t).max], t)[:1]
    yield "two-large", np.arange(3_000_000, dtype="f8") * 0.5
    yield "ties", np.round(random.normal(15, 4, 2_500_000), 1)


def main():
    program, folder, files = sys.argv[1], sys.argv[2], sys.argv[3:]
    checked = 0
    for name, a in arrays():
        path = f"{folder}/{name}.npy"
        np.save(path, a)
        compare(name, run(program, path), a)
        checked += 1
    for t in ("f4", "f8", "i4", "i8"):
        a = np.random.default_rng(1).integers(-99, 99, 12345).astype(t)
        path = f"{folder}/raw-{t}.bin"
        a.tofile(path)
        compare(path, run(program, path, "--raw", {"f4": "f32", "f8": "f64", "i4": "i32", "i8": "i64"}[t]), a)
        checked += 1
    for path in files:
        compare(path, run(program, path), np.load(path))
        checked += 1
    print(f"{checked} arrays agree with NumPy {np.__version__}")


main()
