"""Groups of classes in the classes' place: their probabilities are sums, and everything that comes out follows."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dcfm_ros.arrays import UNLABELLED
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import create_engine
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.config import ModelCard, ModelConfig, in_groups
from dcfm_ros.model.dcfm import build_model
from dcfm_ros.model.groups import Grouping, grouped

NAMES = ("sky", "road", "pavement", "pedestrian", "bicyclist")
CARD = ModelCard(classes=NAMES, colors=tuple((i, 0, 0) for i in range(5)), input_size=(64, 48))
WALKER = """
drivable: [road]
person: {classes: [pedestrian, bicyclist], color: [1, 2, 3]}
sky: {classes: sky, drop: true}
"""


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    return build_model(ModelConfig(num_classes=5), CARD)


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "groups.yaml"
        path.write_text(text)
        return path

    return write


def probabilities(logits):
    return torch.softmax(logits, 1)


def test_a_groups_probability_is_the_sum_of_its_classes(model, written):
    other = grouped(model, written(WALKER))
    x = torch.rand(1, 3, 48, 64)
    with torch.no_grad():
        independent = model.encode_independent(x)
        common = model.encode_common(None, independent)
        sky, road, pavement, pedestrian, bicyclist = probabilities(model.logits(common, independent))[0]
        found = probabilities(other.logits(common, independent))[0]
    wanted = torch.stack([road, pedestrian + bicyclist, pavement, sky])  # what is dropped comes last
    assert torch.allclose(found, wanted, atol=1e-5)


def test_names_colours_and_members(model, written):
    other = grouped(model, written(WALKER))
    assert other.card.classes == ("drivable", "person", "pavement")
    assert other.card.colors == ((1, 0, 0), (1, 2, 3), (2, 0, 0))
    assert (other.outputs, other.card.members) == (4, (UNLABELLED, 0, 2, 1, 1))
    assert model.card == CARD and model.grouping is None and model.outputs == 5  # as it was
    label = np.array([[0, 1, 2, 3, 4, 7, 255]], np.uint8)
    assert in_groups(label, other.card).tolist() == [[255, 0, 2, 1, 1, 7, 255]]
    assert in_groups(label, model.card) is label


@settings(max_examples=40, deadline=None)
@given(
    logits=st.lists(st.floats(-200, 200, width=32), min_size=5, max_size=5),
    owner=st.lists(st.integers(0, 2), min_size=5, max_size=5),
)
def test_the_logarithm_of_a_sum(logits, owner):
    matrix = torch.zeros(3, 5)
    matrix[owner, range(5)] = 1.0
    values = torch.tensor(logits, dtype=torch.float64)
    wanted = torch.tensor([torch.logsumexp(values[[o == g for o in owner]], 0) for g in range(3)])
    found = Grouping(matrix)(torch.tensor(logits)[None, :, None])[0, :, 0].double()
    near = wanted > wanted.max() - 10  # what is less likely by far is unlikely, and that is all that it says
    assert torch.allclose(found[near], wanted[near], atol=1e-2)
    assert (found[~near] <= wanted.max() - 9).all()
    other_axis = Grouping(matrix)(torch.tensor(logits)[None, None, None], -1)[0, 0, 0].double()
    assert torch.allclose(other_axis, found, rtol=1e-6, atol=1e-6)  # products sum in another order there


@pytest.mark.parametrize("engine", ["torch", "openvino", "onnxruntime"])
def test_every_engine_says_the_same(model, written, engine):
    if engine != "torch":
        pytest.importorskip(engine)
    plain = create_engine(model, EngineConfig(engine="torch"))
    config = EngineConfig(engine=engine, classes_file=str(written(WALKER)))
    ours = create_engine(model, config)
    assert ours.card.classes == ("drivable", "person", "pavement")
    rgb = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)

    def run(engine):
        independent = engine.independent(rgb)
        logits = engine.logits(engine.common(independent), independent)
        return engine.label_map(logits, (16, 12), confidence=True)

    mask, share = run(ours)
    assert not ours.problem and set(np.unique(mask)) <= {0, 1, 2, UNLABELLED}
    with torch.no_grad():
        logits = plain.logits(plain.common(plain.independent(rgb)), plain.independent(rgb))
        parts = torch.softmax(logits, 1)[0]
        sums = torch.stack([parts[1], parts[3] + parts[4], parts[2], parts[0]])
    winner = sums.argmax(0).numpy()
    wanted = np.where(winner == 3, UNLABELLED, winner)
    assert (mask == wanted).mean() > 0.99
    assert np.abs(share - 255 * sums.max(0).values.numpy()).max() <= 2


def test_classes_together_win_where_neither_does(written):
    """What is left of the arg-max would say road here."""
    model = build_model(ModelConfig(num_classes=5), CARD)
    file = written("person: [pedestrian, bicyclist]\n")
    logits = torch.log(torch.tensor([0.05, 0.4, 0.05, 0.25, 0.25]))[None, :, None, None]
    assert int(grouped(model, file).grouping(logits).argmax()) == 0 and int(logits.argmax()) == 1


def test_the_rest(model, written):
    other = grouped(model, written("person: [pedestrian, bicyclist]\nelse: {classes: rest, drop: true}\n"))
    assert (other.card.classes, other.outputs) == (("person",), 2)
    some = grouped(model, written("ground: [road, rest]\nperson: [pedestrian, bicyclist]\n"))
    assert some.card.classes == ("ground", "person") and some.card.members == (0, 0, 0, 1, 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        ("person: [walker]", "no class 'walker'; it knows sky, road"),
        ("a: [road]\nb: [road, sky]", "class 'road' is named twice"),
        ("a: [road, road]", "class 'road' is named twice"),
        ("a: rest\nb: rest", "class 'rest' is named twice"),
        ("sky: [road]", "group 'sky' has the name of a class that no group names"),
        ("1: [road]\n'1': [sky]", "two groups have the same name"),
        ("a: []", "group 'a' has no class"),
        ("a: {classes: rest}\nb: [sky, road, pavement, pedestrian, bicyclist]", "group 'a' has no class"),
        ("a: {classes: [road], colour: [1, 2, 3]}", "unknown key 'a.colour'; known: classes, color, drop"),
        ("a: {classes: [road], color: [1, 2]}", r"the color of 'a' is \[1, 2\]"),
        ("a: {classes: [road], color: [1, 2, 300]}", r"the color of 'a' is \[1, 2, 300\]"),
        ("a: {classes: [road], drop: maybe}", "drop"),
        ("a: 3", "a.classes|no class '3'"),
        ("a: {classes: rest, drop: true}", "drops every class"),
        ("- road", "."),
        ("a: [", "."),
    ],
)
def test_files_that_make_no_sense(model, written, text, why):
    with pytest.raises(DcfmError, match=why):
        grouped(model, written(text))


def test_a_file_that_is_not_there(model, tmp_path):
    with pytest.raises(DcfmError, match=r"nowhere\.yaml"):
        grouped(model, tmp_path / "nowhere.yaml")


def test_graphs_of_other_groups_are_not_taken_for_these(model, written, tmp_path, monkeypatch):
    """Of the same names with other members: the cache must tell them apart."""
    from dcfm_ros.engines.graph.engine import model_digest

    one = grouped(model, written("a: [road]\nb: rest\n"))
    two = grouped(model, written("a: [sky]\nb: rest\n"))
    assert one.card.classes == two.card.classes and model_digest(one) != model_digest(two)
