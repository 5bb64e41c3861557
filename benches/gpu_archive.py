"""Makes one archive with all that `gpu_minutes.py` needs on a machine with a GPU.

    python3 benches/gpu_archive.py --chimle target/dist/chimle --peers DIR --reference DIR --photos DIR --out gpu.tar.xz
        [--vgg FILE] [--lpips FILE] [--photographs 1500] [--limit-mib 64]

Build the binary with `cargo build --profile dist -p chimle-cli --features cuda,wgpu`. DIR of --peers contains
`torch_chimle.py` and `configs`. DIR of --reference contains the reference numbers of `chimle verify`. DIR of --photos
contains `train` and `val`. --vgg is VGG16 as safetensors. It is stored in 16 bits, which is enough for training and
timing, but not for `verify`.

The parts are added in the order of their importance. A part that would exceed the limit is left out, and the output
says so. On the other machine:

    tar xf gpu.tar.xz && python3 gpu/gpu_minutes.py --out results
"""

import argparse, array, json, lzma, shutil, struct, subprocess, sys, tarfile, tempfile
from pathlib import Path

PRESET = 6


def halved(path):
    """Returns a safetensors file of 32-bit floats as one of 16-bit floats."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, values = json.loads(data[8:8 + length]), data[8 + length:]
    new, chunks, offset = {}, [], 0
    for name, entry in header.items():
        if name == "__metadata__":
            new[name] = entry
            continue
        if entry["dtype"] != "F32":
            sys.exit(f"{path}: {name} is {entry['dtype']}, not F32")
        begin, end = entry["data_offsets"]
        floats = array.array("f", values[begin:end])
        if sys.byteorder == "big":
            floats.byteswap()
        chunk = struct.pack(f"<{len(floats)}e", *floats)
        new[name] = {"dtype": "F16", "shape": entry["shape"], "data_offsets": [offset, offset + len(chunk)]}
        chunks.append(chunk)
        offset += len(chunk)
    text = json.dumps(new).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(chunks)


def stripped(path):
    """Returns the bytes of a program without its symbols, if `strip` is installed."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "program"
        shutil.copy(path, copy)
        if shutil.which("strip"):
            subprocess.run(["strip", str(copy)], check=True)
        return copy.read_bytes()


def photographs(folder, count):
    """Returns up to `count` photographs of a folder, evenly from all of its subfolders."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in {".jpg", ".jpeg", ".png"})
    step = max(1, len(files) // count)
    return files[::step][:count]


def parts(a):
    """Yields the parts in the order of their importance: a name, and pairs of a path and its bytes."""
    here = Path(__file__).resolve().parent
    peers = [a.peers / "torch_chimle.py", *sorted((a.peers / "configs").glob("*.json"))]
    yield "program and scripts", [
        ("chimle", stripped(a.chimle)),
        ("gpu_minutes.py", (here / "gpu_minutes.py").read_bytes()),
        *((f"peers/{file.relative_to(a.peers)}", file.read_bytes()) for file in peers)]
    numbers = sorted(file for file in a.reference.iterdir() if file.suffix in {".json", ".pth", ".safetensors", ".png"})
    groups = ["colourization", "super_resolution", "generic"]
    of_group = lambda group: [(f"reference/{file.name}", file.read_bytes()) for file in numbers if f"tim_{group}" in file.name]
    others = [file for file in numbers if not file.name.startswith("tim_")]
    yield "reference numbers: colorization and images", of_group(groups[0]) + [
        (f"reference/{file.name}", file.read_bytes()) for file in others]
    yield "photographs", [
        (f"photos/{kind}/{file.relative_to(a.photos / kind)}", file.read_bytes())
        for kind, count in [("train", a.photographs), ("val", max(8, a.photographs // 25))]
        for file in photographs(a.photos / kind, count)]
    if a.vgg:
        weights = [("weights/vgg16_f16.safetensors", halved(a.vgg))]
        if a.lpips:
            weights.append(("weights/lpips_vgg.pth", a.lpips.read_bytes()))
        yield "VGG16 in 16 bits", weights
    for group in groups[1:]:
        yield f"reference numbers: {group}", of_group(group)


def packed(files):
    """Returns the files as a compressed part of a tar archive. The parts of an archive can be concatenated."""
    blocks = bytearray()
    for path, data in files:
        entry = tarfile.TarInfo(f"gpu/{path}")
        entry.size, entry.mode = len(data), 0o755 if path == "chimle" else 0o644
        blocks += entry.tobuf() + data + bytes(-len(data) % tarfile.BLOCKSIZE)
    return lzma.compress(blocks, preset=PRESET)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    path = lambda text: Path(text).resolve()
    p.add_argument("--chimle", type=path, required=True)
    p.add_argument("--peers", type=path, required=True)
    p.add_argument("--reference", type=path, required=True)
    p.add_argument("--photos", type=path, required=True)
    p.add_argument("--out", type=path, required=True)
    p.add_argument("--vgg", type=path)
    p.add_argument("--lpips", type=path)
    p.add_argument("--photographs", type=int, default=1500)
    p.add_argument("--limit-mib", type=float, default=64)
    a = p.parse_args()
    archive, limit = b"", a.limit_mib * 2**20
    for name, files in parts(a):
        part = packed(files)
        fits = len(archive) + len(part) <= limit
        print(f"{name}: {len(part) / 2**20:.1f} MiB, {'added' if fits else 'left out'}", flush=True)
        if fits:
            archive += part
        elif not archive:
            sys.exit("the program alone exceeds the limit")
    a.out.write_bytes(archive + lzma.compress(bytes(2 * tarfile.BLOCKSIZE)))
    print(f"{a.out}: {a.out.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
