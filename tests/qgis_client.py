"""Real clients for tests: system PyQGIS in a subprocess of its own, and ``gdalinfo``.

A test that needs a client that is not installed is skipped, and fails under ``REQUIRE_QGIS=1``.
QGIS writes beside what it opens: give it copies.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

_PYTHON = "/usr/bin/python3"
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR")

_SCRIPT = r"""
import json, sys
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor
from qgis.core import (QgsApplication, QgsMapRendererSequentialJob, QgsMapSettings,
                       QgsRasterLayer, QgsVectorLayer)


def colour_of(c):
    return [c.name(), c.alpha()]


def raster(path):
    layer = QgsRasterLayer(path, "map")
    provider, renderer = layer.dataProvider(), layer.renderer()
    facts = {
        "valid": layer.isValid(),
        "size": [layer.width(), layer.height()],
        "crs_valid": layer.crs().isValid(),
        "authid": layer.crs().authid(),
        "extent": [layer.extent().xMinimum(), layer.extent().yMinimum(),
                   layer.extent().xMaximum(), layer.extent().yMaximum()],
        "nodata": provider.sourceHasNoDataValue(1),
        "nodata_value": provider.sourceNoDataValue(1),
        "renderer": renderer.type(),
    }
    if renderer.type() == "paletted":
        facts["classes"] = [[c.value, c.label, c.color.name(), c.color.alpha()]
                            for c in renderer.classes()]
    if renderer.type() == "singlebandpseudocolor":
        ramp = renderer.shader().rasterShaderFunction()
        facts["range"] = [renderer.classificationMin(), renderer.classificationMax()]
        facts["items"] = [[i.value, i.label, i.color.name()] for i in ramp.colorRampItemList()]
        settings = ramp.legendSettings()
        facts["suffix"] = settings.suffix() if settings else None
    return layer, facts


def vector(path):
    layer = QgsVectorLayer(path, "polygons", "ogr")
    renderer = layer.renderer()
    facts = {
        "valid": layer.isValid(),
        "crs_valid": layer.crs().isValid(),
        "authid": layer.crs().authid(),
        "count": layer.featureCount(),
        "fields": [f.name() for f in layer.fields()],
        "renderer": renderer.type(),
    }
    if renderer.type() == "categorizedSymbol":
        facts["attribute"] = renderer.classAttribute()
        facts["classes"] = [[c.value(), c.label(), c.symbol().color().name(),
                             c.symbol().color().alpha()] for c in renderer.categories()]
    return layer, facts


def picture(layer, target, size):
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setBackgroundColor(QColor(0, 0, 0, 0))
    settings.setFlag(QgsMapSettings.Antialiasing, False)
    settings.setOutputSize(QSize(*size))
    settings.setExtent(layer.extent())
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    if not job.renderedImage().save(target):
        raise SystemExit("cannot save " + target)


def main():
    application = QgsApplication([], False)
    application.initQgis()
    answers = []
    for task in json.loads(sys.argv[1]):
        layer, facts = (vector if task["path"].endswith(".gpkg") else raster)(task["path"])
        if task.get("picture"):
            picture(layer, task["picture"], task["size"])
        answers.append(facts)
        del layer
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(answers, file)
    application.exitQgis()


main()
"""


def _missing(client: str) -> None:
    message = f"{client} is not installed"
    if os.environ.get("REQUIRE_QGIS") == "1":
        pytest.fail(message + ", but REQUIRE_QGIS=1 asks for it")
    pytest.skip(message)


def _clean_environment(home: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    folders = [f for f in kept.get("PATH", "").split(os.pathsep) if f.startswith(("/usr", "/bin"))]
    kept["PATH"] = os.pathsep.join(folders or ["/usr/bin", "/bin"])
    return kept | {"HOME": home, "XDG_RUNTIME_DIR": home, "QT_QPA_PLATFORM": "offscreen"}


@lru_cache(maxsize=1)
def _has_qgis() -> bool:
    with tempfile.TemporaryDirectory() as home:
        try:
            done = subprocess.run(
                [_PYTHON, "-c", "import qgis.core"],
                env=_clean_environment(home),
                capture_output=True,
                timeout=120,
                check=False,
            )
        except OSError:
            return False
    return done.returncode == 0


def require_qgis() -> None:
    """Skip the test without system PyQGIS; fail it under ``REQUIRE_QGIS=1``."""
    if not _has_qgis():
        _missing("PyQGIS of the system's python3")


def ask_qgis(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Open layers in real QGIS and return what it sees of each.

    Args:
        tasks: ``path`` of a GeoTIFF or GeoPackage; with ``picture`` and ``size`` (width, height)
            the layer is also rendered alone, on nothing, to a PNG.
    """
    require_qgis()
    with tempfile.TemporaryDirectory() as home:
        script, answer = Path(home) / "ask.py", Path(home) / "answer.json"
        script.write_text(_SCRIPT, encoding="utf-8")
        done = subprocess.run(
            [_PYTHON, str(script), json.dumps(tasks), str(answer)],
            env=_clean_environment(home),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if not answer.exists():
            pytest.fail(f"QGIS gave no answer (exit {done.returncode}): {done.stderr[-2000:]}")
        answers: list[dict[str, Any]] = json.loads(answer.read_text(encoding="utf-8"))
    return answers


def gdalinfo(path: Path) -> dict[str, Any]:
    """Return what ``gdalinfo -json`` says of a file; skips or fails without it."""
    program = shutil.which("gdalinfo", path="/usr/bin:/usr/local/bin:/bin")
    if program is None:
        _missing("gdalinfo")
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [str(program), "-json", str(path)],
            env=_clean_environment(home),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts
