"""Every pixel a class, from Python: the commands of ``terrapatch pixels`` as functions.

``open_task`` takes a cube and its labels, ``train`` makes a model of them, ``classify`` a map;
``evaluate`` and ``ladder`` say what a recipe is worth on ground it has not seen.
"""

from terrapatch.cubes import Cube
from terrapatch.features.pixels.stack import FeatureStack
from terrapatch.features.pixels.writing import make_features as features
from terrapatch.learn.pixels.labels import PixelLabels, read_labels
from terrapatch.learn.pixels.model import PixelModel
from terrapatch.studies.pixels.asked import PixelRecipe, PixelTask, open_task
from terrapatch.studies.pixels.classifying import PixelMap, classify
from terrapatch.studies.pixels.evaluating import PixelEvaluation, evaluate
from terrapatch.studies.pixels.ladder import Ladder, Step, ladder
from terrapatch.studies.pixels.protocols import Judging
from terrapatch.studies.pixels.training import PixelTrainResult, train

__all__ = [
    "Cube",
    "FeatureStack",
    "Judging",
    "Ladder",
    "PixelEvaluation",
    "PixelLabels",
    "PixelMap",
    "PixelModel",
    "PixelRecipe",
    "PixelTask",
    "PixelTrainResult",
    "Step",
    "classify",
    "evaluate",
    "features",
    "ladder",
    "open_task",
    "read_labels",
    "train",
]
