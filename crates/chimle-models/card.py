#!/usr/bin/env python3
"""Makes a model of this crate from a run: the weights, the configuration, the sheet of samples, and the card.

    card.py NAME RUN --chimle target/release/chimle --photos PHOTOS --weights WEIGHTS --cpu-hours H

PHOTOS holds `scenes` and `flowers`, each with `train` and `val`. WEIGHTS holds `vgg16_imagenet.safetensors` and
`lpips_v0.1/vgg.pth`. The measures are taken on all photographs of `val`. The sheet shows the first inputs of each class
of `val`, in the order of their names. Nothing on it was chosen by hand.
"""

import argparse
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

FOLDER = pathlib.Path(__file__).parent / "models"
SAMPLES = 8
SHOWN = 12

DATA = {
    "scenes": "8,741 photographs of buildings, forests, glaciers, mountains, the sea and streets at 100 x 100 pixels: the "
    "training part of the Intel image classification set, brought down to 100 pixels by its redistributor. 220 others "
    "are kept for the measures below. The set was published for research.",
    "flowers": "3,670 photographs of daisies, dandelions, roses, sunflowers and tulips at 128 x 128 pixels: the training "
    "part of the Kaggle set \"flowers recognition\", brought down to 128 pixels by its redistributor. 219 others are "
    "kept for the measures below. The set was published for research.",
}
LICENSE = (
    "The weights are licensed like the code, MIT or Apache 2.0. The photographs have licenses of their own, and they were "
    "collected for research. Find out whether you may use a model that was trained on them commercially."
)
TASKS = {
    "colorization": (
        "The model adds color to a gray photograph. It sees a larger photograph at 64 pixels. The colors are then enlarged "
        "along the edges of the photograph, which keeps its own lightness and sharpness.",
        "the gray photograph itself",
    ),
    "super-resolution": (
        "The model enlarges a photograph to 16 times its side: 4 x 4 pixels become 64 x 64. A larger input is enlarged in "
        "overlapping tiles of 4 x 4 pixels.",
        "the bicubic enlargement",
    ),
    "decompression": (
        "The model takes a photograph that was compressed as JPEG of quality 1, and draws photographs that may be its "
        "original. A larger photograph is cleaned in overlapping tiles of 64 x 64 pixels.",
        "the compressed photograph itself",
    ),
}
UNFIT = {
    "scenes": "- Portraits, interiors, animals, food and drawings: it has seen landscapes and streets alone.\n",
    "flowers": "- Anything but flowers and their leaves: it has seen nothing else.\n",
}
UNFIT_TASK = {
    "colorization": "- Restoring what the colors were. The samples are plausible colors; the true ones may not be among them.\n"
    "- Color details that are smaller than 1/64 of the shorter side: the model does not see them.\n",
    "super-resolution": "- Recognizing people or reading text. What it adds is made up.\n"
    "- Inputs that were not made by bicubic reduction, and inputs much larger than 4 x 4 pixels, where a tile shows no whole object.\n",
    "decompression": "- Recognizing people or reading text. What it adds is made up.\n"
    "- JPEG of other qualities, or of photographs at another scale: blocks of 8 x 8 pixels must be as large in relation to "
    "objects as at 64 pixels.\n",
}


def run(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def first_of_classes(folder, count):
    """The first photographs of each class in turn, in the order of their names."""
    classes = [sorted(p for p in kind.iterdir() if p.is_file()) for kind in sorted(folder.iterdir())]
    turns = [photograph for turn in zip(*classes) for photograph in turn]
    return turns[:count]


def interval(measure, digits=3):
    low, high = measure["interval"]
    return f"{measure['value']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("--chimle", type=pathlib.Path, required=True)
    parser.add_argument("--photos", type=pathlib.Path, required=True)
    parser.add_argument("--weights", type=pathlib.Path, required=True)
    parser.add_argument("--cpu-hours", type=float, required=True)
    parser.add_argument("--before", default="", help="what was done before this run, where it began from other weights")
    parser.add_argument("--steps", type=int, help="the step of the weights, where it is not that of the newest checkpoint")
    parser.add_argument("--model", type=pathlib.Path, help="the file of weights to take [default: the run's newest checkpoint]")
    flags = parser.parse_args()

    photographs, task = flags.name.split("-", 1)
    task = task.rsplit("-", 1)[0]
    weights = FOLDER / f"{flags.name}.safetensors"
    run(flags.chimle, "export", "--model", flags.model or flags.run, "--half", "--force", "--out", weights)
    checksum = hashlib.sha256(weights.read_bytes()).hexdigest()

    config = (flags.run / "config.toml").read_text()
    config = re.sub(r'"[^"]*/photos/', '"photos/', config)
    config = re.sub(r'"[^"]*/weights/', '"weights/', config)
    # The weights from which the run began are not published.
    config = re.sub(r"^init = .*\n", "", config, flags=re.MULTILINE)
    (FOLDER / f"{flags.name}.toml").write_text(config)
    log = [json.loads(line) for line in (flags.run / "log.jsonl").read_text().splitlines()]
    steps = flags.steps or max(event["step"] for event in log if event["event"] == "saved")
    parameters = next(event["parameters"] for event in log if event["event"] == "started")
    validated = {event["step"]: event for event in log if event["event"] == "validated" and event["step"] <= steps}

    val = flags.photos / photographs / "val"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        lpips = flags.weights / "lpips_v0.1/vgg.pth"
        run(flags.chimle, "evaluate", "--model", weights, "--data", val, "--samples", SAMPLES, "--out", folder / "report",
            "--perceptual", flags.weights / "vgg16_imagenet.safetensors", "--lpips", lpips)
        report = json.loads((folder / "report/report.json").read_text())
        inputs = folder / "inputs"
        inputs.mkdir()
        for number, photograph in enumerate(first_of_classes(val, SHOWN)):
            shutil.copy(photograph, inputs / f"{number:02}{photograph.suffix}")
        run(flags.chimle, "sample", "--model", weights, "--input", inputs, "--size", 64, "--degrade", "--samples", SAMPLES,
            "--out", folder / "samples")
        sheets = sorted((folder / "samples").glob("*-sheet.png"))
        stack(sheets, FOLDER / f"{flags.name}.png")

    does, baseline = TASKS[task]
    distance = report["likeness"]["distance"]
    lines = [f"| {measure} | {interval(distance[measure])} | {distance[measure]['value'] / distance['baseline']['value']:.2f} |"
             for measure in ("best", "mean")]
    diversity = report["diversity"]["value"] if "diversity" in report else None
    curve = "\n".join(f"| {step:,} | {event['best']:.4f} | {event['mean']:.4f} | {event['diversity']:.4f} |"
                      for step, event in thinned(validated))
    (FOLDER / f"{flags.name}.md").write_text(f"""\
# {flags.name}

{does}

{parameters:,} parameters; {weights.stat().st_size / 1e6:.2f} MB as 16-bit floats. SHA-256 of the weights: `{checksum}`.

```sh
chimle sample --model {flags.name} --input photo.jpg --out samples/
```

## Data

{DATA[photographs]}

License: {LICENSE}

## Training

{flags.cpu_hours:.1f} hours of CPU time in all. The last {steps:,} steps were taken with the configuration `{flags.name}.toml`, which is in the folder of
this card. The command starts from fresh weights:

```sh
chimle train --config {flags.name}.toml --out runs/{flags.name}
```

{flags.before}

Validations on photographs that were held out of the training part (the configuration's distance; best and mean of 4 samples):

| step | best | mean | diversity |
|--:|--:|--:|--:|
{curve}

## Measures

On {report['images']} photographs of `val`, which the model has not seen, {SAMPLES} samples each. LPIPS is on VGG16. In brackets: 95% bootstrap
intervals over photographs. The last column is relative to {baseline}, whose LPIPS is {interval(distance['baseline'])}.

| LPIPS of {SAMPLES} samples | value | relative |
|---|--:|--:|
{chr(10).join(lines)}

PSNR of the best sample: {interval(report['likeness']['psnr']['best'], 1)} dB. SSIM of the best sample: {interval(report['likeness']['ssim']['best'])}.{f" Diversity (mean LPIPS between two samples): {diversity:.3f}." if diversity is not None else ""}

## Not good for

{UNFIT[photographs]}{UNFIT_TASK[task]}
## Samples

![samples]({flags.name}.png)

The first photographs of each class of `val`, in the order of their names. Left: the input. Then {SAMPLES} samples. Right: the true photograph.
""")
    print(flags.name, [line for line in lines])


def thinned(validated):
    """At most ten validations, evenly spread, with the first and the last."""
    events = sorted(validated.items())
    if len(events) <= 10:
        return events
    return [events[round(k * (len(events) - 1) / 9)] for k in range(10)]


def stack(sheets, path):
    from PIL import Image

    rows = [Image.open(sheet).convert("RGB") for sheet in sheets]
    width, height = max(row.width for row in rows), sum(row.height for row in rows)
    picture = Image.new("RGB", (width, height), "white")
    top = 0
    for row in rows:
        picture.paste(row, (0, top))
        top += row.height
    picture.save(path, optimize=True)


if __name__ == "__main__":
    main()
