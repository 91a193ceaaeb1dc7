"""Recipes: data set, model, method and settings by registered names.

A checkpoint carries its recipe, so that data, model and losses can be rebuilt without running code
from the file.
"""

from sharpscope.recipes.catalog import DEFAULTS as DEFAULTS
from sharpscope.recipes.catalog import Defaults as Defaults
from sharpscope.recipes.catalog import available as available
from sharpscope.recipes.construction import build_dataset as build_dataset
from sharpscope.recipes.construction import build_model as build_model
from sharpscope.recipes.criteria import BatchLoss as BatchLoss
from sharpscope.recipes.criteria import BatchLosses as BatchLosses
from sharpscope.recipes.criteria import losses as losses
from sharpscope.recipes.criteria import predict as predict
from sharpscope.recipes.criteria import summed_loss as summed_loss
from sharpscope.recipes.criteria import total_of as total_of
from sharpscope.recipes.criteria import training_losses as training_losses
from sharpscope.recipes.methods import METHODS as METHODS
from sharpscope.recipes.methods import Method as Method
from sharpscope.recipes.recipe import Recipe as Recipe
from sharpscope.recipes.recipe import parse_recipe as parse_recipe
from sharpscope.recipes.settings import Setting as Setting
from sharpscope.recipes.settings import Value as Value

__all__ = [
    "DEFAULTS",
    "METHODS",
    "BatchLoss",
    "BatchLosses",
    "Defaults",
    "Method",
    "Recipe",
    "Setting",
    "Value",
    "available",
    "build_dataset",
    "build_model",
    "losses",
    "parse_recipe",
    "predict",
    "summed_loss",
    "total_of",
    "training_losses",
]
