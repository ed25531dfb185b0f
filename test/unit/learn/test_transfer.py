"""What is taken from the weights of another model: everything that has a place, classes by their names."""

import pytest
import torch

from dcfm_lab.learn.transfer import FUSION, transferred
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.config import ModelCard, ModelConfig
from dcfm_ros.model.dcfm import build_model

LAST = "classifier.1.weight"


def card(*names):
    return ModelCard(classes=names, colors=tuple((i, i, i) for i in range(len(names))))


@pytest.fixture(scope="module")
def source():
    torch.manual_seed(0)
    model = build_model(ModelConfig(num_classes=3), card("road", "car", "sky"))
    for buffer in model.buffers():  # statistics, too, are told from those of a new model
        if buffer.is_floating_point():
            buffer.add_(0.5)
    return model


def test_the_same_model_is_taken_as_it_is(source):
    model, new = transferred(source, source.config, source.card)
    assert new == ""
    for name, value in source.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_classes_are_taken_by_their_names(source):
    model, new = transferred(source, source.config, card("sky", "garden", "road"))
    before, after = source.state_dict(), model.state_dict()
    assert torch.equal(after[LAST][0], before[LAST][2]) and torch.equal(after[LAST][2], before[LAST][0])
    assert not any(torch.equal(after[LAST][1], row) for row in before[LAST])
    assert all(torch.equal(after[name], before[name]) for name in before if name != LAST)
    assert new == "classes that begin at random: garden; classes left out: car"


def test_another_number_of_classes(source):
    config = ModelConfig(num_classes=4)
    model, new = transferred(source, config, card("road", "car", "sky", "tree"))
    assert torch.equal(model.state_dict()[LAST][:3], source.state_dict()[LAST])
    assert new == "classes that begin at random: tree" and model.config.num_classes == 4


@pytest.mark.parametrize("classifier", ["mlp", "conv"])
def test_another_classifier_begins_at_random_and_says_so(source, classifier):
    config = ModelConfig(num_classes=3, classifier=classifier)
    model, new = transferred(source, config, source.card)
    assert "that begin at random, such as 'classifier." in new
    assert torch.equal(model.state_dict()[FUSION], source.state_dict()[FUSION])


def test_a_shallower_independent_feature_keeps_its_channels(source):
    config = ModelConfig(num_classes=3, independent_feature="stride4")
    model, new = transferred(source, config, source.card)
    wide, narrow = source.state_dict()[FUSION], model.state_dict()[FUSION]
    common = source.fusion.common_channels
    assert narrow.shape[1] == common + 24 and torch.equal(narrow, wide[:, : common + 24])
    assert new == "independent feature 'stride4' in place of 'stride4+8+16'"
    back, _ = transferred(model, source.config, source.card)
    wide_again = back.state_dict()[FUSION]
    assert torch.equal(wide_again[:, : common + 24], narrow) and not wide_again[:, common + 24 :].any()


def test_the_independent_feature_that_stays_is_the_same_picture(source):
    """Its channels are the first ones of the wider feature's."""
    config = ModelConfig(num_classes=3, independent_feature="stride4")
    narrow = transferred(source, config, source.card)[0].eval()
    x = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        wide = source.eval().encode_independent(x)
        assert torch.allclose(narrow.encode_independent(x), wide[:, :24], atol=1e-6)


def test_another_backbone_is_refused(source):
    with pytest.raises(DcfmError, match="are of the backbone 'mobilenetv2', the model has 'mit_b0'"):
        transferred(source, ModelConfig(num_classes=3, backbone="mit_b0"), source.card)
