"""timm's networks without torchvision, which timm imports for its transforms and feature extraction. None of
that is used here: files are read by the peer itself. Where torchvision is installed it is left alone.
"""

import importlib.util
import sys
import types


class AbsentClass(type):
    """A class with every constant."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return f"{cls.__name__}.{name}"


class Absent(types.ModuleType):
    """A module of which everything can be imported and nothing does anything."""

    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return AbsentClass(name, (), {"__init__": lambda self, *given, **named: None})


NAMES = ["torchvision", "torchvision.datasets", "torchvision.datasets.folder", "torchvision.models",
         "torchvision.models.feature_extraction", "torchvision.ops", "torchvision.ops.misc",
         "torchvision.transforms", "torchvision.transforms.functional", "torchvision.transforms.v2",
         "torchvision.utils"]

if importlib.util.find_spec("torchvision") is None:
    for name in NAMES:
        sys.modules[name] = Absent(name)
        above, _, last = name.rpartition(".")
        if above:
            setattr(sys.modules[above], last, sys.modules[name])

import timm  # noqa: E402,F401
