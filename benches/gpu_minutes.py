"""Checks, times and profiles chimle on a GPU, next to PyTorch, and trains for the minutes that are left.

    python3 gpu_minutes.py --out OUT [--here DIR] [--minutes 10] [--device cuda] [--second wgpu] [--python PYTHON]

The script needs no network, no Rust, and only Python's standard library. DIR is an unpacked archive of
`gpu_archive.py` (the default is the script's folder). PYTHON is a Python with PyTorch (the default is the one that
runs the script). Without PyTorch, only chimle is timed.

The steps run in the order of their importance, and each one has a time limit:

1. the devices,
2. `chimle verify` on the device, the bf16 of a trained model, and `chimle verify` on the second device,
3. the times of a forward pass, a training step and a search, next to those of PyTorch, for the smallest batch,
4. a profile of the kernels of the step and the search,
5. the times for larger batches, and with LPIPS,
6. a run of training on photographs, for the minutes that are left.

A step that fails or exceeds its limit is recorded, and the next one begins. After each step, OUT contains
`results.json` and `summary.md`. `OUT/logs` contains all that the commands printed, `OUT/run` the run of training, and
`OUT/cache` the kernels that CubeCL compiled and chose. A second call with the same OUT starts with this cache.

PyTorch gets its best settings: channels-last, autotuned cuDNN, TF32 for float32, and the faster of the runs with and
without `torch.compile`. A ratio is PyTorch's time divided by chimle's: above 1, chimle is faster.
"""

import argparse, json, os, re, shutil, signal, subprocess, sys, threading, time
from pathlib import Path

# The seconds that are kept for writing the results.
LAST_SECONDS = 8
# A step is skipped if fewer seconds are left for it.
SHORTEST = 5
# The largest relative difference of a measure of a trained model, next to the CPU in 32 bits.
LARGEST_DIFFERENCE = {"f32": 2e-3, "bf16": 2e-2}
TIMES = ["forward_ms", "train_step_ms", "search_ms"]


class Failed(Exception):
    """A step failed for this reason."""


class TimedOut(Exception):
    """A step exceeded its limit."""


class Memory(threading.Thread):
    """Samples the used memory of the first NVIDIA GPU, in MiB."""

    QUERY = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]

    def __init__(self):
        super().__init__(daemon=True)
        self.stopped, self.peak, self.before = threading.Event(), None, self.used()

    def used(self):
        try:
            return int(subprocess.run(self.QUERY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=5).stdout)
        except (OSError, ValueError, subprocess.TimeoutExpired):
            return None

    def run(self):
        while self.before is not None and not self.stopped.wait(0.2):
            used = self.used()
            if used is not None:
                self.peak = max(self.peak or 0, used - self.before)


class Minutes:
    def __init__(self, a):
        self.a, self.begun = a, time.monotonic()
        self.deadline = self.begun + 60 * a.minutes - LAST_SECONDS
        self.steps, self.logs = [], a.out / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.cache = a.out / "cache"
        self.work = self.configured("work", "")

    def configured(self, name, more):
        """Makes a folder with a configuration of CubeCL. A command that runs in it shares the cache."""
        folder = self.a.out / name
        folder.mkdir(parents=True, exist_ok=True)
        self.cache.mkdir(exist_ok=True)
        place = json.dumps(str(self.cache))
        text = f"[autotune]\ncache = {{ file = {place} }}\n\n[compilation]\ncache = {{ file = {place} }}\n{more}"
        (folder / "cubecl.toml").write_text(text)
        return folder

    def left(self):
        return self.deadline - time.monotonic()

    def step(self, name, limit, action, keep=0):
        """Runs a step. `keep` seconds are kept for later steps. Returns what the action returns, or None."""
        limit = min(limit, self.left() - keep)
        entry = {"step": name, "limit_s": round(max(limit, 0), 1)}
        self.steps.append(entry)
        begun, found = time.monotonic(), None
        self.until, self.log = begun + limit, self.logs / f"{len(self.steps):02}-{re.sub(r'[^a-z0-9]+', '-', name.lower())}.txt"
        if limit < SHORTEST:
            entry.update(status="skipped", reason="no time was left")
        else:
            try:
                found = action()
                entry.update(status="passed", **(found or {}))
            except Failed as error:
                entry.update(status="failed", reason=str(error))
            except TimedOut:
                entry.update(status="timed out", reason=f"it took more than {limit:.0f} s")
            except Exception as error:  # A mistake in this script must not end the other steps.
                entry.update(status="failed", reason=f"{type(error).__name__}: {error}")
        entry["seconds"] = round(time.monotonic() - begun, 1)
        print(f"{entry['status']}: {name}, {entry['seconds']} s {entry.get('reason', '')}".rstrip(), flush=True)
        self.write()
        return found

    def run(self, *command, cwd=None, may_fail=False):
        """Runs a command until the step's limit. Returns its output and the peak of the GPU's memory."""
        command = [str(part) for part in command]
        memory = Memory()
        memory.start()
        with open(self.log, "a+") as log:
            log.write(f"$ {' '.join(command)}\n")
            log.flush()
            begin = log.seek(0, os.SEEK_END)
            try:
                child = subprocess.Popen(command, cwd=cwd or self.work, stdin=subprocess.DEVNULL, stdout=log,
                                         stderr=subprocess.STDOUT, start_new_session=True)
            except OSError as error:
                raise Failed(f"{command[0]}: {error.strerror}") from None
            try:
                status = child.wait(max(0.1, self.until - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise TimedOut from None
            finally:
                # The whole group, because PyTorch compiles in processes of its own.
                try:
                    os.killpg(child.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                child.wait()
                memory.stopped.set()
            log.seek(begin)
            output = log.read()
        if status and not may_fail:
            lines = [line for line in output.strip().splitlines() if line.strip()]
            reason = next((line for line in reversed(lines) if re.search("error|Error|panic", line)), lines[-1] if lines else "")
            raise Failed(f"exit status {status}: {reason.strip()[:300]}")
        return output, memory.peak

    def chimle(self, *arguments, **options):
        return self.run(self.a.here / "chimle", *arguments, **options)

    def write(self):
        results = {"minutes": self.a.minutes, "device": self.a.device, "steps": self.steps}
        (self.a.out / "results.json").write_text(json.dumps(results, indent=1))
        (self.a.out / "summary.md").write_text(summary(self.a, self.steps))


def last_json(output):
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise Failed("it printed no JSON")
    return json.loads(lines[-1])


# The steps.


def devices(m):
    output, _ = m.chimle("devices")
    torch = "import torch; print('PyTorch', torch.__version__, torch.version.cuda, torch.cuda.is_available())"
    for command in [["nvidia-smi"], [m.a.python, "-c", torch]]:
        try:
            output += m.run(*command, may_fail=True)[0]
        except Failed as error:
            output += f"{error}\n"
    lines = [line.strip() for line in output.splitlines()]
    kept = [line for line in lines if re.match(r"cpu|cuda|wgpu|PyTorch|\| NVIDIA", line)]
    return {"devices": kept, "torch": any(line.startswith("PyTorch") for line in kept)}


def verify(m, device):
    output, _ = m.chimle("verify", "--device", device, "--reference", m.a.here / "reference", may_fail=True)
    last = re.search(r"(\d+) passed, (\d+) failed.*", output)
    if not last:
        raise Failed((output.strip().splitlines() or ["no output"])[-1][:300])
    bad = [line for line in output.splitlines() if re.match(r"fail", line, re.IGNORECASE)]
    found = {"checks": last.group(0), "failures": bad[:40]}
    if int(last.group(2)):
        m.steps[-1].update(found)
        raise Failed(last.group(0))
    return found


def measures(tree, path=""):
    """Yields the values of the measures in a report."""
    if isinstance(tree, dict):
        if isinstance(tree.get("value"), (int, float)):
            yield path, tree["value"]
        else:
            for name, branch in tree.items():
                yield from measures(branch, f"{path}/{name}")


def precision(m):
    """Measures a trained model on the CPU in 32 bits, and on the device in 32 and in 16 bits."""
    reports = {}
    for device, kind in [("cpu", "f32"), (m.a.device, "f32"), (m.a.device, "bf16")]:
        folder = m.work / f"evaluated-{device.replace(':', '-')}-{kind}"
        m.chimle("evaluate", "--device", device, "--model", "scenes-colorization-64", "--data", m.a.here / "photos" / "val",
                 "--limit", 8, "--samples", 4, "--precision", kind, "--out", folder)
        report = json.loads((folder / "report.json").read_text())
        reports[device, kind] = dict(measures(report))
    truth, found = reports["cpu", "f32"], {}
    for kind, largest in LARGEST_DIFFERENCE.items():
        own = reports[m.a.device, kind]
        apart = max(abs(own[name] - value) / max(abs(value), 1e-6) for name, value in truth.items())
        found[f"{kind}_largest_relative_difference"] = apart
        if not apart <= largest:
            m.steps[-1].update(found)
            raise Failed(f"{kind}: a measure differs by {apart:.2g} of its value, the limit is {largest}")
    return found


def same(a, batch):
    return ["--batch", batch, "--side", a.side, "--pool", a.pools]


def weights(a):
    """Returns the flags for LPIPS on VGG16, or None if the archive has no weights."""
    vgg, lpips = a.here / "weights" / "vgg16_f16.safetensors", a.here / "weights" / "lpips_vgg.pth"
    if not vgg.exists():
        return None
    return ["--perceptual", vgg] + (["--lpips", lpips] if lpips.exists() else [])


def own_times(m, kind, batch, loss="l2"):
    extra = [] if loss == "l2" else ["--loss", "vgg", "--perceptual", m.a.here / "weights" / "vgg16_f16.safetensors"]
    output, peak = m.chimle("bench", "--device", m.a.device, "--config", m.a.here / "peers" / "configs" / m.a.config,
                            "--task", "colorization", *same(m.a, batch), "--precision", kind, *extra)
    return {"times": last_json(output), "peak_mib": peak}


def torch_times(m, kind, batch, extra, loss="l2"):
    command = [m.a.python, m.a.here / "peers" / "torch_chimle.py", "time", m.a.here / "peers" / "configs" / m.a.config,
               *same(m.a, batch), "--device", m.a.device, "--dtype", kind, "--channels-last", *extra]
    if kind == "f32":
        command.append("--tf32")
    if loss == "vgg":
        command += ["--loss", "vgg", "--vgg", m.a.here / "weights" / "vgg16_f16.safetensors"]
    output, peak = m.run(*command)
    return {"times": last_json(output), "peak_mib": peak}


UNITS = {"ns": 1e-6, "µs": 1e-3, "ms": 1.0, "s": 1e3}


def profile(m, pools):
    """Adds up the times of the kernels in the log of CubeCL, which waits for each of them."""
    folder = m.configured("profile", '\n[profiling.logger]\nlevel = "basic"\nfile = "kernels.log"\n')
    log = folder / "kernels.log"
    log.unlink(missing_ok=True)
    pool = ["--pool", m.a.pools] if pools else []
    m.chimle("bench", "--device", m.a.device, "--config", m.a.here / "peers" / "configs" / m.a.config, "--task", "colorization",
             "--batch", 1, "--side", m.a.side, "--repeat", 1, *pool, cwd=folder)
    if not log.exists():
        raise Failed("the device has no log of kernels")
    sums = {}
    for line in log.read_text(errors="replace").splitlines():
        match = re.match(r"\| ([0-9.]+)(ns|µs|ms|s) *\| (.+?) *$", line)
        if match:
            total = sums.setdefault(match.group(3), [0.0, 0])
            total[0] += float(match.group(1)) * UNITS[match.group(2)]
            total[1] += 1
    log.rename(m.logs / ("kernels-with-search.log" if pools else "kernels.log"))
    kernels = sorted(sums.items(), key=lambda item: -item[1][0])
    return {"kernel_ms": sum(ms for ms, _ in sums.values()), "launches": sum(count for _, count in sums.values()),
            "kernels": [{"kernel": name, "ms": ms, "launches": count} for name, (ms, count) in kernels[:25]]}


def training(m):
    run = m.a.out / "run"
    shutil.rmtree(run, ignore_errors=True)
    distance = weights(m.a)
    if distance is None:
        print("the archive has no VGG16, so the run trains with the Laplacian pyramid instead of LPIPS", flush=True)
    begun = time.monotonic()
    minutes = max(0.05, (m.until - begun - m.a.stop_seconds) / 60)
    output, peak = m.chimle(
        "train", "--device", m.a.device, "--task", "colorization", "--data", m.a.here / "photos" / "train", "--preset", m.a.preset,
        "--size", m.a.size, "--minutes", f"{minutes:.2f}", "--out", run, *(distance or []), *(["--steps", m.a.steps] if m.a.steps else []))
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    losses = [event for event in events if "loss" in event]
    validated = [event for event in events if event["event"] == "validated"]
    return {"distance": "LPIPS" if distance else "Laplacian pyramid", "minutes": (time.monotonic() - begun) / 60, "steps": max(event.get("step", 0) for event in events),
            "losses": [event["loss"] for event in losses[:1] + losses[-1:]], "validated": validated[:1] + validated[-1:], "peak_mib": peak}


def page(m):
    m.chimle("page", m.a.out / "run", "--device", m.a.device)


# The summary.


def number(value, digits=1):
    return f"{value:.{digits}f}" if isinstance(value, (int, float)) else "-"


def summary(a, steps):
    lines = [f"# chimle on {a.device}", ""]
    lines += [line for step in steps for line in step.get("devices", [])] + [""]
    lines += ["| step | result | seconds | |", "|---|---|--:|---|"]
    for step in steps:
        note = str(step.get("reason") or step.get("checks") or "").replace("|", "/")
        lines.append(f"| {step['step']} | {step['status']} | {step.get('seconds', 0)} | {note} |")
    lines += ["", f"Times in ms of {a.config}, pools {a.pools}:", "",
              "| | forward | PyTorch | ratio | step | PyTorch | ratio | search | PyTorch | ratio | MiB | PyTorch |",
              "|---|" + "--:|" * 11]
    timed = {step["step"]: step for step in steps if "times" in step}
    for case in dict.fromkeys(name.split(": ")[1] for name in timed):
        of = lambda *who: [timed[f"{name}: {case}"] for name in who if f"{name}: {case}" in timed]
        ours, theirs, cells = of("chimle"), of("PyTorch", "PyTorch compiled"), []
        for field in TIMES:
            best = lambda found: min((step["times"][field] for step in found if step["times"].get(field)), default=None)
            own, peer = best(ours), best(theirs)
            cells += [number(own), number(peer), number(peer / own, 2) if own and peer else "-"]
        peaks = [min((step["peak_mib"] for step in found if step.get("peak_mib")), default=None) for found in (ours, theirs)]
        lines.append(f"| {case} | " + " | ".join(cells) + " | " + " | ".join(number(peak, 0) for peak in peaks) + " |")
    for step in steps:
        if step["step"].startswith("PyTorch as released") and "times" in step:
            lines += ["", f"The search of the authors' release in PyTorch takes {number(step['times'].get('search_ms'))} ms."]
    for step in steps:
        if step.get("kernels"):
            lines += ["", f"{step['step']}: {step['launches']} launches, {number(step['kernel_ms'])} ms", "",
                      "| kernel | ms | launches |", "|---|--:|--:|"]
            short = lambda kernel: kernel.split("<")[0].split(" | ")[0]
            lines += [f"| {short(k['kernel'])} | {number(k['ms'], 2)} | {k['launches']} |" for k in step["kernels"][:12]]
        if "validated" in step:
            lines += ["", f"Training with {step['distance']}: {step['steps']} steps in {number(step['minutes'])} minutes, "
                      f"losses {step['losses']}, validation {json.dumps(step['validated'])}"]
    return "\n".join(lines) + "\n"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    path = lambda text: Path(text).resolve()
    p.add_argument("--out", type=path, required=True)
    p.add_argument("--here", type=path, default=Path(__file__).resolve().parent)
    p.add_argument("--minutes", type=float, default=10)
    p.add_argument("--device", default="cuda")
    p.add_argument("--second", default="wgpu")
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--config", default="paper-colourization.json", help="a file in DIR/peers/configs")
    p.add_argument("--side", type=int, default=32, help="the side of the coarsest level in pixels")
    p.add_argument("--pools", default="20,20,10,5")
    p.add_argument("--batches", default="1,8")
    p.add_argument("--precisions", default="f32,bf16")
    p.add_argument("--preset", default="small", help="the network of the run of training")
    p.add_argument("--size", type=int, default=64, help="the side of its images in pixels")
    p.add_argument("--steps", type=int, help="end the run of training after this many steps")
    p.add_argument("--keep", type=float, default=120, help="the seconds that are kept for training")
    p.add_argument("--stop-seconds", type=float, default=15, help="the seconds in which training must begin, stop and save")
    p.add_argument("--limit", type=float, default=1, help="a factor of every step's time limit")
    a = p.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    m = Minutes(a)
    step = lambda name, limit, action: m.step(name, limit * a.limit, action, keep=a.keep)

    found = step("devices", 40, lambda: devices(m))
    has_torch = a.device.split(":")[0] in ("cpu", "cuda") and (found is None or found["torch"])
    step(f"verify {a.device}", 120, lambda: verify(m, a.device))
    step(f"bf16 on {a.device}", 60, lambda: precision(m))
    if a.second:
        step(f"verify {a.second}", 90, lambda: verify(m, a.second))

    def times(kind, batch, first=False):
        case, prefix = f"{kind}, batch {batch}", ["--search", "prefix"]
        # The first call also compiles kernels and chooses among them.
        step(f"chimle: {case}", 150 if first else 60, lambda: own_times(m, kind, batch))
        if has_torch:
            step(f"PyTorch: {case}", 45, lambda: torch_times(m, kind, batch, prefix))
            if first:
                step(f"PyTorch as released: {case}", 45, lambda: torch_times(m, kind, batch, ["--search", "release"]))
            step(f"PyTorch compiled: {case}", 75, lambda: torch_times(m, kind, batch, prefix + ["--compile"]))

    smallest, *larger = [int(batch) for batch in a.batches.split(",")]
    kinds = a.precisions.split(",")
    for kind in kinds:
        times(kind, smallest, first=kind == kinds[0])
    step("profile of the step", 45, lambda: profile(m, False))
    step("profile with the search", 45, lambda: profile(m, True))
    for batch in larger:
        for kind in kinds:
            times(kind, batch)
    if weights(a):
        step(f"chimle: LPIPS, f32, batch {smallest}", 60, lambda: own_times(m, "f32", smallest, "vgg"))
        if has_torch:
            step(f"PyTorch: LPIPS, f32, batch {smallest}", 45, lambda: torch_times(m, "f32", smallest, ["--search", "prefix"], "vgg"))
    m.step("training", m.left() - 20 * min(a.limit, 1), lambda: training(m))
    m.step("page of the run", 20, lambda: page(m))
    print(f"{a.out / 'summary.md'}, after {time.monotonic() - m.begun:.0f} s")


if __name__ == "__main__":
    main()
