"""Run every awkward raster through info, embed and cluster, and write the table of outcomes.

Usage: python docs/make_tricky_table.py [FOLDER]   (default: ../shared/data/tricky)
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
# What a person would declare after reading the first refusal.
DECLARED = {
    "31band_uint8_1800px_nodata255.tif": ["--bands", "1,2,3"],
    "all_nodata_uint16_4band.tif": ["--units", "0:3000"],
    "antimeridian_4326_float32.tif": ["--bands", "1,1,1", "--units", "percentile:2,98"],
    "esri_wkt_crs.tif": ["--bands", "1,1,1", "--units", "0:3000"],
    "float64_nan_nodata_nan.tif": ["--bands", "1,1,1", "--units", "percentile:2,98"],
    "rgba_uint16_alpha.tif": ["--units", "0:20000"],
}
INTRO = """# How awkward rasters fare

Seventeen rasters named by their quirk, each through `info`, `embed --size 32` and `cluster -k 4`,
as they are and then, where that is refused for want of a declaration, with what a person would
declare. Written by `docs/make_tricky_table.py`; every sentence is what the command printed, and
every refusal left with exit code 2 and nothing on the disk.

| raster | info | declared | embed | cluster |
|---|---|---|---|---|
"""


def run(*words: str) -> tuple[int, str]:
    """Run one command; return its exit code and its sentence, if it gave one."""
    done = subprocess.run(
        [sys.executable, "-m", "terrapatch", *words], capture_output=True, text=True
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    if done.returncode not in (0, 2) or (done.returncode == 2 and len(lines) != 1):
        raise SystemExit(f"{words} left with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.returncode, lines[0].removeprefix("error: ") if lines else "works"


def outcomes(raster: Path, options: list[str], scratch: Path) -> list[str]:
    """Return what embed and cluster said about a raster."""
    store, folder = scratch / f"{raster.name}.zarr", scratch / f"{raster.name}_clusters"
    code, embedded = run("embed", str(raster), "-o", str(store), "--size", "32", *options)
    if code:
        left = [p.name for p in scratch.iterdir()]
        if left:
            raise SystemExit(f"{raster.name} was refused but left {left}")
        return [embedded, "–"]
    clustered = run("cluster", str(store), "-k", "4", "-o", str(folder))[1]
    return [embedded, clustered]


def main() -> None:
    """Write docs/tricky_rasters.md."""
    beside = HERE.parents[1] / "shared" / "data"
    data = Path(os.environ.get("TERRAPATCH_DATA", beside)) / "tricky"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else data
    rows = []
    for raster in sorted(folder.glob("*.tif")):
        seen = "opens" if run("info", str(raster))[0] == 0 else "refused"
        tries = [[]] + ([DECLARED[raster.name]] if raster.name in DECLARED else [])
        for options in tries:
            with tempfile.TemporaryDirectory() as scratch:
                said = outcomes(raster, options, Path(scratch))
            declared = f"`{' '.join(options)}`" if options else ""
            first = f"`{raster.name}`" if not options else ""
            rows.append(" | ".join([f"| {first}", seen if not options else "", declared, *said]))
        print(raster.name, flush=True)
    text = INTRO + "".join(row + " |\n" for row in rows)
    (HERE / "tricky_rasters.md").write_text(text.replace(str(folder) + "/", ""))


if __name__ == "__main__":
    main()
