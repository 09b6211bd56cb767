"""What `--help` lists, without the libraries that would know it, is what they know."""

import dataclasses
import re

import click
import pytest

from made_tf.cli import main
from made_tf.conditionals import FAMILIES
from made_tf.models.settings import Settings
from made_tf.training.recipe import Recipe


def option(command, name):
    (found,) = (each for each in main.commands[command].params if each.name == name)
    return found


@pytest.mark.parametrize("command", ["train", "tune"])
def test_conditionals_are_the_families(command):
    # (What an inflated family inflates cannot be said in a word.)
    found = option(command, "conditionals")
    assert set(found.type.choices) == set(FAMILIES) - {"inflated"}
    for family in found.type.choices:
        assert family in found.help


@pytest.mark.parametrize("name", ["input_order", "hidden_degrees", "resample"])
def test_choices_are_those_of_the_model(name):
    with pytest.raises(ValueError, match=f"`{name}` must be") as error:
        Settings(4, num_masks=2, **{name: "nonsense"})
    known = re.findall(r"'(\w+)'", str(error.value).split("Received")[0])
    assert sorted(option("train", name).type.choices) == sorted(known)


def test_weights_are_those_of_the_export():
    from made_tf import MADE
    from made_tf.export import to_tflite

    with pytest.raises(ValueError, match="`weights` must be") as error:
        to_tflite(MADE(3, (4,)), "x.tflite", weights="nonsense")
    known = re.findall(r"'(\w+)'", str(error.value).split("Received")[0])
    assert sorted(option("export", "weights").type.choices) == sorted(known)


def test_options_that_override_a_recipe_have_its_names():
    overriding = [
        each.name
        for each in main.commands["train"].params
        if isinstance(each, click.Option) and (each.help or "").count("as the recipe says")
    ]
    assert len(overriding) == 14
    recipe = Recipe.load("single")
    settings = {field.name for field in dataclasses.fields(Settings)}
    for name in overriding:
        assert name == "epochs" or hasattr(recipe.training, name) or name in settings
