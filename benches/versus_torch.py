"""Times chimle and PyTorch on this machine's CPU, in turn, and prints the ratios as Markdown.

    PYTHON benches/versus_torch.py --peers DIR [--vgg FILE] [--threads 2] [--rounds 3] [--only PART] [--rows TEXT]

PYTHON is a Python with PyTorch (and with safetensors for --vgg). DIR contains `torch_chimle.py` and its `configs`.
Each time of chimle is compared with PyTorch's best setting: eager, channels-last, compiled by `torch.compile`, or
both. The setting is chosen for each time separately and named next to it. A ratio is PyTorch's time divided by
chimle's: above 1, chimle is faster. Each time is the median over the rounds of the medians that the programs report.

The share is the part of the limit that chimle reaches. The limit is the time of the least products, at the rate of
PyTorch's matrix product, which is measured at the beginning. The least products are those of Winograd's F(4x4, 3x3)
for all 3x3 convolutions: a quarter of those of the definition. With shapes that Winograd's algorithm does not suit,
the true limit is higher, so the share is an underestimate.

--rows runs only the rows whose name contains the text. --settings limits PyTorch's settings, for a quick try.
"""

import argparse, json, math, os, statistics, struct, subprocess, sys, tempfile, time, zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OWN_PEER = ROOT / "benches" / "torch_times.py"
MODEL = ROOT / "crates" / "chimle-models" / "models" / "scenes-colorization-64.safetensors"

SETTINGS = {
    "eager": [],
    "channels-last": ["--channels-last"],
    "compiled": ["--compile"],
    "compiled, channels-last": ["--compile", "--channels-last"],
}
TIMES = {"forward": "forward_ms", "step": "train_step_ms", "search": "search_ms"}
WORK = {"forward": "forward_macs", "step": "step_macs", "search": "search_macs"}

# The name of a row, its configuration, batch, coarsest side, distance and pools. The VGG16 of `torch_chimle.py` does
# not accept images below 16 pixels, so vgg has no row with a coarsest side of 8.
SMALL, PAPER = "small-cpu.json", "paper-colourization.json"
NETWORKS = [
    ("small, batch 4, side 8, l2", SMALL, 4, 8, "l2", "20,20,10,5"),
    ("small, batch 4, side 16, l2", SMALL, 4, 16, "l2", "20,20,10,5"),
    ("small, batch 4, side 16, vgg", SMALL, 4, 16, "vgg", "20,20,10,5"),
    ("paper, batch 1, side 16, l2", PAPER, 1, 16, "l2", "4,4,2,1"),
    ("paper, batch 1, side 32, l2", PAPER, 1, 32, "l2", "4,4,2,1"),
]


def run(*command, threads, may_fail=False):
    """Returns the JSON objects that a command prints, one per line, and its peak memory in MiB."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), RAYON_NUM_THREADS=str(threads), PYTHONWARNINGS="ignore")
    command = [str(part) for part in command]
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    if status:
        message = f"{' '.join(command)} failed with {status}"
        if not may_fail:
            sys.exit(message)
        print(message, file=sys.stderr, flush=True)
        return [], 0
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")], usage.ru_maxrss / 1024


def build():
    subprocess.run(["cargo", "build", "--release", "-p", "chimle-cli"], cwd=ROOT, check=True)


def own_convolutions(target, shapes, threads):
    """Returns the times (forward, forward and backward) in ms for each shape, from criterion's estimates."""
    run("cargo", "bench", "-q", "-p", "chimle-benches", "--bench", "convolution", "--",
        "--warm-up-time", "0.5", "--measurement-time", "1", "chimle", threads=threads)
    times = []
    for s in shapes:
        name = f"{s['batch']}x{s['channels_in']}x{s['side']}x{s['side']} to {s['channels_out']}"
        both = []
        for group in ["convolution forward", "convolution with gradients"]:
            file = target / "criterion" / group / "chimle" / name / "new" / "estimates.json"
            both.append(json.loads(file.read_text())["median"]["point_estimate"] / 1e6)
        times.append(both)
    return times


def mean(ratios):
    """Returns the geometric mean and the smallest ratio in words."""
    if not ratios:
        return "-"
    return f"{math.exp(statistics.mean(math.log(ratio) for ratio in ratios)):.2f} (least {min(ratios):.2f})"


def compare_convolutions(a, target):
    peers, own = [], []
    for _ in range(a.rounds):
        peers.append(run(sys.executable, OWN_PEER, "convolutions", a.threads, threads=a.threads)[0])
        own.append(own_convolutions(target, peers[0], a.threads))
    print("\n| convolution | forward, ms | PyTorch | ratio | GFLOP/s | with gradients, ms | PyTorch | ratio |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    ratios = [[], []]
    for k, s in enumerate(peers[0]):
        row = []
        for which, field in enumerate(["forward", "forward_backward"]):
            theirs = statistics.median(peer[k][field + "_ms"] for peer in peers)
            ours = statistics.median(times[k][which] for times in own)
            ratios[which].append(theirs / ours)
            row += [f"{ours:.2f}", f"{theirs:.2f} ({s[field + '_setting']})", f"{theirs / ours:.2f}"]
            if which == 0:
                operations = 2 * 9 * s["batch"] * s["channels_in"] * s["channels_out"] * s["side"] ** 2
                row.append(f"{operations / ours / 1e6:.0f}")
        print(f"| {s['batch']} x {s['channels_in']} x {s['side']}² to {s['channels_out']} | " + " | ".join(row) + " |")
    print(f"| geometric mean | | | {mean(ratios[0])} | | | | {mean(ratios[1])} |", flush=True)


def best(times):
    """Returns the smallest median and the name of its setting. `times` lists the values of each setting."""
    medians = {name: statistics.median(values) for name, values in times.items() if values}
    name = min(medians, key=medians.get, default=None)
    return (medians[name], name) if name else (None, "-")


def compare_networks(a, chimle, rate):
    print("\n| network | | chimle, ms | PyTorch, ms | setting | ratio | least products, G | share | peak, MiB | PyTorch |")
    print("|---|---|--:|--:|---|--:|--:|--:|--:|--:|")
    ratios = {kind: [] for kind in TIMES}
    for name, config, batch, side, loss, pools in NETWORKS:
        if (loss == "vgg" and not a.vgg) or a.rows not in name:
            continue
        file = a.peers / "configs" / config
        same = ["--side", side, "--batch", batch, "--loss", loss, "--pool", pools, "--repeat", a.repeat]
        theirs, ours = (["--vgg", a.vgg], ["--perceptual", a.vgg]) if loss == "vgg" else ([], [])
        bench = [chimle, "bench", "--config", file, "--task", "colorization", *same]
        work = run(*bench, "--count", threads=a.threads)[0][0]
        times, peaks = {setting: [] for setting in a.settings}, {setting: [] for setting in a.settings}
        own, own_peaks = [], []
        for _ in range(a.rounds):
            for setting in a.settings:
                found, peak = run(sys.executable, a.peers / "torch_chimle.py", "time", file, *same, *theirs,
                                  *SETTINGS[setting], "--search", "prefix", "--threads", a.threads,
                                  threads=a.threads, may_fail=True)
                times[setting] += found
                peaks[setting] += [peak] if found else []
            found, peak = run(*bench, *ours, threads=a.threads)
            own += found
            own_peaks.append(peak)
        memory = best(peaks)[0]
        for kind, field in TIMES.items():
            ms = statistics.median(time[field] for time in own)
            peer, setting = best({name: [time[field] for time in found] for name, found in times.items()})
            products = work[WORK[kind]] / 4 / 1e9
            cells = [f"{ms:.0f}", f"{peer:.0f}" if peer else "-", setting, f"{peer / ms:.2f}" if peer else "-",
                     f"{products:.1f}", f"{2 * products / rate / ms * 1e3:.0%}",
                     f"{max(own_peaks):.0f}", f"{memory:.0f}" if memory else "-"]
            ratios[kind] += [peer / ms] if peer else []
            print(f"| {name} | {kind} | " + " | ".join(cells) + " |", flush=True)
    for kind, found in ratios.items():
        print(f"| geometric mean | {kind} | | | | {mean(found)} | | | | |")
    idle = run(sys.executable, "-c", "import torch", threads=a.threads)[1]
    print(f"\nPeaks are those of a whole process: forward passes, steps and searches. PyTorch's peak is the smallest of "
          f"its settings, and contains the {idle:.0f} MiB of its import.", flush=True)


def photograph(path, side):
    """Writes a gray PNG with smooth waves, which any program can read."""
    wave = lambda y, x: int(127 + 60 * math.sin(x / 9 + y / 31) + 60 * math.cos(y / 13))
    rows = b"".join(b"\0" + bytes(wave(y, x) for x in range(side)) for y in range(side))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def compare_sampling(a, chimle):
    """Times the sampling of a photograph. chimle's time includes reading and writing files: it is the difference of two
    whole runs, with 1 and with 1 + `count` outputs. PyTorch's is a forward pass of the same network alone."""
    side, count = 256, 8
    own, peers = [], []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        photograph(folder / "photo.png", side)
        for _ in range(a.rounds):
            peers += run(sys.executable, OWN_PEER, "sample", a.threads, a.peers, side, count, threads=a.threads)[0]
            seconds = []
            for samples in [1, 1 + count]:
                begun = time.perf_counter()
                run(chimle, "sample", "--model", MODEL, "--input", folder / "photo.png", "--samples", samples,
                    "--scale", "whole", "--out", folder / f"out-{samples}", threads=a.threads)
                seconds.append(time.perf_counter() - begun)
            own.append(1e3 * (seconds[1] - seconds[0]) / count)
    ms, peer = statistics.median(own), statistics.median(t["forward_ms"] for t in peers) / count
    print("\n| sampling with a shipped model | chimle, ms per output | PyTorch, ms | setting | ratio |")
    print("|---|--:|--:|---|--:|")
    print(f"| a photograph of {side} x {side} | {ms:.1f} | {peer:.1f} | {peers[-1]['setting']} | {peer / ms:.2f} |", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--peers", type=lambda path: Path(path).resolve(), required=True)
    p.add_argument("--vgg", type=lambda path: Path(path).resolve())
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--repeat", type=int, default=5, help="the timed runs within each round")
    p.add_argument("--only", choices=["convolutions", "networks", "sampling"])
    p.add_argument("--rows", default="", help="run only the networks whose name contains this text")
    p.add_argument("--settings", type=lambda text: text.split(";"), default=list(SETTINGS),
                   help="PyTorch's settings, separated by semicolons")
    p.add_argument("--chimle", type=lambda path: Path(path).resolve(), help="a release binary; without it, one is built")
    a = p.parse_args()
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    if not a.chimle:
        build()
    chimle = a.chimle or target / "release" / "chimle"
    rate = run(sys.executable, OWN_PEER, "rate", a.threads, threads=a.threads)[0][0]["gflops"]
    print(f"A matrix product of PyTorch runs at {rate:.0f} GFLOP/s with {a.threads} threads.", flush=True)
    if a.only in [None, "convolutions"]:
        compare_convolutions(a, target)
    if a.only in [None, "networks"]:
        compare_networks(a, chimle, rate)
    if a.only in [None, "sampling"]:
        compare_sampling(a, chimle)


main()
