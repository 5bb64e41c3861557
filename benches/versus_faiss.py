"""Times exact nearest-neighbor search next to FAISS's flat index, in turn, and prints the ratios as Markdown.

    pip install faiss-cpu numpy
    python3 benches/versus_faiss.py [--threads 2] [--rounds 15]

FAISS's index is `IndexFlatL2`. Both programs answer the same 1,000 queries (k = 1) in one call. A ratio is FAISS's
time divided by chimle's: above 1, chimle is faster. Each time is the median over the rounds. Each ratio is the median
of the ratios of the rounds, which differs from the ratio of the medians if other programs disturb some rounds.
"""

import argparse, json, os, statistics, subprocess, tempfile, time
from pathlib import Path

import faiss, numpy

ROOT = Path(__file__).resolve().parent.parent
QUERIES = 1000
CASES = [(3, 10_000), (3, 100_000), (3, 1_000_000), (16, 10_000), (16, 100_000), (100, 1_000), (100, 10_000), (100, 100_000),
         (1000, 1_000), (1000, 10_000)]
LARGEST_DIMENSION_OF_A_TREE = 16


def points_and_queries(dimension, count):
    """Returns points and queries from twenty Gaussian clusters, float32."""
    random = numpy.random.default_rng([dimension, count])
    centers = 3 * random.standard_normal((20, dimension))
    rows = centers[random.integers(20, size=count + QUERIES)] + random.standard_normal((count + QUERIES, dimension))
    rows = rows.astype(numpy.float32)
    return rows[:count], rows[count:]


class Timed:
    """A running `nearest_neighbor_timed`."""

    def __init__(self, program, structure, file, count, dimension, threads):
        environment = dict(os.environ, RAYON_NUM_THREADS=str(threads))
        command = [program, structure, file, str(count), str(dimension)]
        self.child = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def search(self):
        """Returns the seconds and the nearest points."""
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        answer = json.loads(self.child.stdout.readline())
        return answer["seconds"], numpy.array(answer["nearest"])

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def flat_search(index, queries):
    """Returns the seconds and the nearest points of FAISS."""
    start = time.perf_counter()
    _, nearest = index.search(queries, 1)
    return time.perf_counter() - start, nearest[:, 0]


def same_answers(points, queries, ours, theirs):
    """Returns the share of queries for which both found equally near points. FAISS rounds differently, so it can choose
    another point at the same distance."""
    distance = lambda nearest: ((points[nearest].astype(numpy.float64) - queries) ** 2).sum(1)
    return numpy.mean(numpy.isclose(distance(ours), distance(theirs), rtol=1e-5, atol=0))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    flags = parser.parse_args()
    subprocess.run(["cargo", "build", "--release", "-p", "chimle-benches", "--bin", "nearest_neighbor_timed"], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    program = target / "release" / "nearest_neighbor_timed"
    faiss.omp_set_num_threads(flags.threads)
    print(f"FAISS {faiss.__version__}, {flags.threads} threads, {flags.rounds} rounds, {QUERIES} queries.\n")
    print("| d | n | structure | chimle, ms | FAISS, ms | ratio | same answers |")
    print("|--:|--:|---|--:|--:|--:|--:|")
    for dimension, count in CASES:
        points, queries = points_and_queries(dimension, count)
        index = faiss.IndexFlatL2(dimension)
        index.add(points)
        with tempfile.NamedTemporaryFile() as file:
            numpy.concatenate([points, queries]).tofile(file.name)
            structures = ["exact"] + ["kd-tree"] * (dimension <= LARGEST_DIMENSION_OF_A_TREE)
            for structure in structures:
                timed = Timed(program, structure, file.name, count, dimension, flags.threads)
                timed.search(), flat_search(index, queries)
                ours, theirs = [], []
                for _ in range(flags.rounds):
                    seconds, found = timed.search()
                    ours.append(seconds)
                    seconds, nearest = flat_search(index, queries)
                    theirs.append(seconds)
                timed.close()
                ratio = statistics.median(b / a for a, b in zip(ours, theirs))
                times = [1e3 * statistics.median(some) for some in (ours, theirs)]
                name = {"exact": "Exact", "kd-tree": "KdTree"}[structure]
                same = same_answers(points, queries, found, nearest)
                print(f"| {dimension:,} | {count:,} | {name} | {times[0]:.3g} | {times[1]:.3g} | {ratio:.1f} | {same:.1%} |", flush=True)


if __name__ == "__main__":
    main()
