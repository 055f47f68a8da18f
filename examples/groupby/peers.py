"""The same table by Polars and by DuckDB, with as many threads as named: python3 peers.py FILE THREADS"""

import os
import sys
import time

file, threads = sys.argv[1], sys.argv[2]
os.environ["POLARS_MAX_THREADS"] = threads

import duckdb
import polars

SHARES = [0.5, 0.9, 0.99]


def by_polars(quantiles):
    price = polars.col("price")
    columns = [price.count().alias("count"), price.mean().alias("mean"), price.min().alias("min"), price.max().alias("max")]
    if quantiles:
        columns += [price.quantile(share, "nearest").alias(f"q{share}") for share in SHARES]
    table = polars.scan_csv(file).group_by("city").agg(columns).collect()
    return table.sort(["count", "city"], descending=[True, False]).rows()[0]


def by_duckdb(quantiles):
    connection = duckdb.connect(config={"threads": int(threads)})
    more = f", {quantiles}(price, {SHARES})" if quantiles else ""
    table = f"SELECT city, count(price) AS n, avg(price), min(price), max(price){more} FROM read_csv('{file}') GROUP BY city"
    return connection.sql(f"{table} ORDER BY n DESC, city LIMIT 1").fetchall()[0]


for name, work, quantiles in [
    ("polars, without quantiles", by_polars, None),
    ("polars, exact quantiles", by_polars, True),
    ("duckdb, without quantiles", by_duckdb, None),
    ("duckdb, approximate quantiles", by_duckdb, "approx_quantile"),
    ("duckdb, exact quantiles", by_duckdb, "quantile_disc"),
]:
    times = []
    for _ in range(3):
        start, cpu = time.perf_counter(), time.process_time()
        first = work(quantiles)
        times.append((time.perf_counter() - start, time.process_time() - cpu))
    print(f"{name:<32} {min(times)[0]:.3f} s, processor time {min(times)[1]:.3f} s  {first}", flush=True)
