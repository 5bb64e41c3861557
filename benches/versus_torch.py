"""Times chimle and PyTorch on this machine's CPU, in turn, and prints the ratios as Markdown.

    PYTHON benches/versus_torch.py --peers DIR [--vgg FILE] [--threads 2] [--rounds 3]

PYTHON is a Python with PyTorch (and with safetensors for --vgg). DIR contains `torch_conv.py`,
`torch_chimle.py` and `configs/small-cpu.json`. The two programs print their times as JSON. A ratio
is PyTorch's time divided by chimle's: above 1, chimle is faster. Each value is the median over the
rounds of the medians that the programs report.
"""

import argparse, json, math, os, statistics, subprocess, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run(*command, threads):
    """Returns the JSON objects that a command prints, one per line."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), RAYON_NUM_THREADS=str(threads), PYTHONWARNINGS="ignore")
    command = [str(part) for part in command]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed with {done.returncode}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def peak_mib(*command, threads):
    """Returns the peak memory of a command in MiB."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), RAYON_NUM_THREADS=str(threads), PYTHONWARNINGS="ignore")
    child = subprocess.Popen([str(part) for part in command], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{command} failed with {status}")
    return usage.ru_maxrss / 1024


def build(target):
    subprocess.run(["cargo", "build", "--release", "-p", "chimle-cli"], cwd=ROOT, check=True)
    subprocess.run(["cargo", "bench", "-p", "chimle-benches", "--bench", "convolution", "--no-run"], cwd=ROOT, check=True)
    return target / "release" / "chimle"


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


def compare_convolutions(a, target):
    peers, own = [], []
    for _ in range(a.rounds):
        peers.append(run(sys.executable, a.peers / "torch_conv.py", a.threads, threads=a.threads))
        own.append(own_convolutions(target, peers[0], a.threads))
    print("| convolution | forward, ms | PyTorch | ratio | GFLOP/s | with gradients, ms | PyTorch | ratio |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    ratios = [[], []]
    for k, s in enumerate(peers[0]):
        row = []
        for which, field in enumerate(["forward_ms", "forward_backward_ms"]):
            theirs = statistics.median(peer[k][field] for peer in peers)
            ours = statistics.median(times[k][which] for times in own)
            ratios[which].append(theirs / ours)
            row += [f"{ours:.2f}", f"{theirs:.2f}", f"{theirs / ours:.2f}"]
            if which == 0:
                operations = 2 * 9 * s["batch"] * s["channels_in"] * s["channels_out"] * s["side"] ** 2
                row.append(f"{operations / ours / 1e6:.0f}")
        print(f"| {s['batch']} x {s['channels_in']} x {s['side']}² to {s['channels_out']} | " + " | ".join(row) + " |")
    means = [math.exp(statistics.mean(math.log(ratio) for ratio in some)) for some in ratios]
    print(f"| geometric mean | | | {means[0]:.2f} | | | | {means[1]:.2f} |\n", flush=True)


def compare_networks(a, chimle):
    config, pools = a.peers / "configs" / "small-cpu.json", "20,20,10,5"
    print("| small-cpu.json, batch 4 | forward, ms | PyTorch | ratio | step, ms | PyTorch | ratio | search, ms | PyTorch | ratio |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for side in [8, 16]:
        # The VGG16 of `torch_chimle.py` does not accept images below 16 pixels.
        for loss in ["l2", "vgg"] if a.vgg and side >= 16 else ["l2"]:
            peers, own = [], []
            for _ in range(a.rounds):
                same = ["--side", side, "--batch", 4, "--loss", loss, "--pool", pools]
                theirs, ours = (["--vgg", a.vgg], ["--perceptual", a.vgg]) if loss == "vgg" else ([], [])
                peers += run(sys.executable, a.peers / "torch_chimle.py", "time", config, *same, *theirs,
                             "--search", "prefix", "--threads", a.threads, threads=a.threads)
                own += run(chimle, "bench", "--config", config, "--task", "colorization", *same, *ours,
                           threads=a.threads)
            row = []
            for field in ["forward_ms", "train_step_ms", "search_ms"]:
                theirs, ours = (statistics.median(t[field] for t in times) for times in (peers, own))
                row += [f"{ours:.0f}", f"{theirs:.0f}", f"{theirs / ours:.2f}"]
            print(f"| side {side}, {loss} | " + " | ".join(row) + " |", flush=True)


def compare_memory(a, chimle):
    """Prints the peak memory of forward passes and training steps. A column shows the memory of PyTorch's import alone."""
    config = a.peers / "configs" / "small-cpu.json"
    idle = peak_mib(sys.executable, "-c", "import torch", threads=a.threads)
    print(f"\n| training step, batch 4 | peak, MiB | PyTorch | of which its import |\n|---|--:|--:|--:|")
    for side in [8, 16, 32]:
        same = ["--side", side, "--batch", 4, "--repeat", 3]
        theirs = peak_mib(sys.executable, a.peers / "torch_chimle.py", "time", config, *same, threads=a.threads)
        ours = peak_mib(chimle, "bench", "--config", config, "--task", "colorization", *same, threads=a.threads)
        print(f"| side {side} | {ours:.0f} | {theirs:.0f} | {idle:.0f} |", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--peers", type=lambda path: Path(path).resolve(), required=True)
    p.add_argument("--vgg", type=lambda path: Path(path).resolve())
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--only", choices=["convolutions", "networks", "memory"])
    a = p.parse_args()
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    chimle = build(target)
    if a.only in [None, "convolutions"]:
        compare_convolutions(a, target)
    if a.only in [None, "networks"]:
        compare_networks(a, chimle)
    if a.only in [None, "memory"]:
        compare_memory(a, chimle)


main()
