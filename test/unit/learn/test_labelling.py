"""`dcfm label`: what CVAT and Label Studio import, and what of their exports becomes a data set."""

import json
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import trees

from dcfm_lab.datasets import open_dataset
from dcfm_lab.labelling import archive, brush
from dcfm_lab.labelling.choose import Choice, chosen
from dcfm_lab.labelling.collect import exported, write_data_set
from dcfm_lab.labelling.cvat import CvatWriter, cvat_masks, told_apart
from dcfm_lab.labelling.label_studio import LabelStudioWriter
from dcfm_lab.labelling.work import Work, is_free, load_work, save_work, whole_folder
from dcfm_ros.arrays import UNLABELLED
from dcfm_ros.cli import main
from dcfm_ros.errors import DcfmError
from dcfm_ros.media.bag_writer import BagWriter
from dcfm_ros.media.messages import IMAGE, picture
from dcfm_ros.media.open_source import open_source
from dcfm_ros.model.classes import ClassSet

CLASSES = ClassSet(("floor", "wall & door", "person"), ((1, 2, 3), (4, 5, 6), (4, 5, 6)))
MASK = trees.stripes([0, 1, 2, UNLABELLED])
NAMES = ["000003", "000010"]


def noise(number):
    """A picture unlike that of any other number."""
    pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(pixels, (64, 48), interpolation=cv2.INTER_NEAREST)


def recording(path, kind, count=12):
    """Twelve frames, all different."""
    if kind == "bag":
        with BagWriter(path) as bag:
            for number in range(count):
                stamp = 1_700_000_000_000_000_000 + 100_000_000 * number
                bag.write("/camera/image", IMAGE, stamp, picture(noise(number), stamp, "camera"))
        return path
    if kind == "folder":
        for number in range(count):
            trees.write(path / f"my frame_{number}.png", noise(number))
        return path
    path = path.with_suffix(".avi")
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 15.0, (64, 48))
    for number in range(count):
        video.write(noise(number)[..., ::-1])
    video.release()
    return path


@pytest.fixture
def work(tmp_path):
    """A folder whose frames are 24×16, as MASK."""
    trees.recordings(tmp_path / "other")
    seen = tmp_path / "lab"
    for number in range(12):
        trees.write(seen / f"{number:06d}.png", trees.plain(10 * number))
    folder = tmp_path / "work"
    save_work(folder, Work(str(seen), "", dict.fromkeys(NAMES, trees.SIZE)), CLASSES)
    return folder


def cvat_export(path, masks, labels):
    """As CVAT writes it: colours of its own, its own order of labels. masks: name -> names of labels as an array."""
    colors = {name: (10 * place, 200 - place, place) for place, name in enumerate(["background", *labels], 1)}
    colors["background"] = (0, 0, 0)
    with zipfile.ZipFile(path, "w") as file:
        lines = [f"{name}:{r},{g},{b}::" for name, (r, g, b) in colors.items()]
        file.writestr("labelmap.txt", "\n".join(["# label:color_rgb:parts:actions", *lines]))
        for name, mask in masks.items():
            rgb = np.array([colors[label] for label in mask.ravel()], np.uint8).reshape(*mask.shape, 3)
            png = cv2.imencode(".png", rgb[..., ::-1])[1].tobytes()
            file.writestr(f"SegmentationClass/{name}.png", png)
            file.writestr(f"SegmentationObject/{name}.png", png)
    return path


def in_words(mask, names=CLASSES.names):
    return np.array([*names, *["background"] * (256 - len(names))])[mask]


def label_studio_export(path, tasks):
    """Label Studio's JSON of tasks whose predictions were taken over."""
    done = [
        {
            "id": number,
            "data": task["data"],
            "annotations": [
                {
                    "was_cancelled": False,
                    "updated_at": "2024-01-02",
                    "result": task["predictions"][0]["result"],
                },
                {"was_cancelled": True, "updated_at": "2024-01-03", "result": []},
                {"was_cancelled": False, "updated_at": "2024-01-01", "result": []},
            ],
        }
        for number, task in enumerate(tasks)
    ]
    path.write_text(json.dumps(done))
    return path


@pytest.mark.parametrize("kind", ["bag", "video", "folder"])
def test_from_a_recording_to_a_data_set(tmp_path, monkeypatch, capsys, kind):
    monkeypatch.setenv("DCFM_ENGINE", "torch")
    monkeypatch.setenv("DCFM_CACHE", str(tmp_path / "cache"))
    seen, work, mine = recording(tmp_path / "lab", kind), tmp_path / "work", tmp_path / "mine"
    groups = tmp_path / "groups.yaml"
    groups.write_text("way: [road, pavement]\nthing: [rest]\n")
    assert (
        main(["label", "prepare", str(seen), "-o", str(work), "--count", "3", "--classes-file", str(groups)])
        == 0
    )
    assert "3 frames in" in capsys.readouterr().out
    notes, classes = load_work(work)
    assert classes.names == ("way", "thing") and len(notes.frames) == 3
    # Nobody has corrected anything: both tools hand back what they were given.
    assert main(["label", "collect", str(work), str(work / "cvat.zip"), "-o", str(mine)]) == 0
    tasks = json.loads((work / "label_studio.json").read_text())
    export = label_studio_export(tmp_path / "export.json", tasks)
    val = ["-o", str(mine), "--split", "val", "--name", "other"]
    assert main(["label", "collect", str(work), str(export), *val]) == 0
    told = capsys.readouterr().out
    assert ("train.0.options.topic=/camera/image" in told) == (kind == "bag")
    first, second = (open_dataset("recordings", mine, split, reach=4) for split in ("train", "val"))
    for index in range(3):
        assert np.array_equal(first[index].label, second[index].label)
        image = cv2.imread(str(work / "images" / f"{list(notes.frames)[index]}.jpg"))[..., ::-1]
        assert (
            np.abs(first[index].image.astype(int) - image).mean() < 12
        )  # JPEG's noise; another frame is off by 80
        assert -1 in first.offsets(index) and 1 in first.offsets(index)


@pytest.mark.parametrize("there", [False, True])
def test_a_preparation_that_fails_leaves_nothing_and_takes_nothing_away(tmp_path, there):
    folder = tmp_path / "work"
    if there:
        (folder / ".unfinished.x").mkdir(parents=True)  # of one that was killed
    before = list(tmp_path.rglob("*"))
    for wrong in (OSError, KeyboardInterrupt):
        with pytest.raises(wrong), whole_folder(folder) as made:
            (made / "half").touch()
            raise wrong
        assert list(tmp_path.rglob("*")) == before and is_free(folder)
    with whole_folder(folder) as made:
        assert made.name == "work"  # what Label Studio is told
        (made / "file").touch()
    assert (folder / "file").is_file() and not is_free(folder)


def test_frames_that_show_nothing_new_are_left_out(tmp_path, capsys):
    folder = tmp_path / "still"
    for number in range(30):
        trees.write(folder / f"{number:03d}.png", noise(number // 10))
    with open_source(folder) as source:
        names, told = chosen(source, Choice(count=3))
        assert (names, told) == (["000", "010", "020"], [])
        assert chosen(source, Choice(count=5, min_change=0.0))[0] == ["003", "009", "015", "021", "027"]
        names, (told,) = chosen(source, Choice(count=5))
        assert len(names) == 3 and told.startswith("3 frames and not 5")


def test_names_that_two_frames_share_are_told(tmp_path):
    for suffix, number in ((".png", 0), (".bmp", 1)):
        trees.write((tmp_path / "a").with_suffix(suffix), noise(number))
    with open_source(tmp_path) as source:
        names, told = chosen(source, Choice(count=1))
    assert names == ["a"] and told == ["1 frame left out: another has the same name or stamp"]


def test_cvat_gives_labels_back_by_their_names(tmp_path, work):
    labels = ["person", "floor", "unused", "wall & door"]
    export = cvat_export(tmp_path / "e.zip", {name: in_words(MASK) for name in NAMES}, labels)
    notes, classes = load_work(work)
    for each in (export, unpacked(export, tmp_path / "folder")):
        masks, told = exported(each, notes, classes)
        assert told == [] and list(masks) == NAMES
        assert all(np.array_equal(mask, MASK) for mask in masks.values())
    folder = write_data_set(tmp_path / "mine", "train", "", notes, classes, masks, force=False)
    dataset = open_dataset("recordings", tmp_path / "mine")
    assert np.array_equal(dataset[0].label, MASK) and trees.brightness(dataset[0].image) == 30
    assert folder == tmp_path / "mine" / "train" / "lab.labels"
    with pytest.raises(DcfmError, match="exists already; add --force"):
        write_data_set(tmp_path / "mine", "train", "", notes, classes, masks, force=False)
    write_data_set(tmp_path / "mine", "train", "", notes, classes, masks, force=True)


def unpacked(export, folder):
    with zipfile.ZipFile(export) as file:
        file.extractall(folder)
    return folder


def test_colours_that_cvat_could_not_tell_apart_are_changed(tmp_path):
    classes = ClassSet(("a", "b", "c"), ((0, 0, 0), (9, 9, 9), (9, 9, 9)))
    colors = told_apart(classes)
    assert colors[1] == (9, 9, 9) and len({*colors, (0, 0, 0)}) == 4
    with CvatWriter(tmp_path, classes) as cvat:
        cvat.add("x", b"", trees.stripes([2, UNLABELLED, 0, 1]))
    with archive.Archive(tmp_path / "cvat.zip") as made:
        ((name, mask),) = cvat_masks(made, classes, Counter())
    assert name == "x" and np.array_equal(mask, trees.stripes([2, UNLABELLED, 0, 1]))


def test_a_class_called_background_is_what_has_no_label_in_cvat(tmp_path):
    classes = ClassSet(("person", "background"), ((9, 9, 9), (0, 0, 0)))
    with CvatWriter(tmp_path, classes) as cvat:
        cvat.add("x", b"", trees.stripes([0, 1]))
    with archive.Archive(tmp_path / "cvat.zip") as made:
        ((_, mask),) = cvat_masks(made, classes, Counter())
    assert np.array_equal(mask, trees.stripes([0, 1]))


def test_what_is_missing_is_counted_and_the_status_is_2(tmp_path, work, capsys):
    masks = {
        "images/000003": in_words(MASK),
        "000010": in_words(MASK[:8]),
        "000099": in_words(MASK),
    }
    export = cvat_export(tmp_path / "e.zip", masks, CLASSES.names)
    assert main(["label", "collect", str(work), str(export), "-o", str(tmp_path / "mine")]) == 2
    out, err = capsys.readouterr()
    assert "1 label of 2 frames" in out
    assert "1 label of no frame of this work, left out: 000099" in err
    assert "1 label of another size than its image, left out: 000010 (24×8, its image 24×16)" in err
    nothing = np.full_like(MASK, UNLABELLED)
    export = cvat_export(
        tmp_path / "f.zip", {"000003": in_words(MASK), "000010": in_words(nothing)}, CLASSES.names
    )
    assert main(["label", "collect", str(work), str(export), "-o", str(tmp_path / "more")]) == 2
    assert "1 label without a labelled pixel, left out: 000010" in capsys.readouterr().err
    export = cvat_export(tmp_path / "g.zip", {"000003": in_words(MASK)}, CLASSES.names)
    assert main(["label", "collect", str(work), str(export), "-o", str(tmp_path / "most")]) == 2
    assert "1 frame not in the export: 000010" in capsys.readouterr().err


def zipped(path, **files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name.replace("__", "/"), content)
    return path


HOSTILE = {
    "another class": (
        lambda path: cvat_export(
            path,
            {"000003": in_words(MASK, ("floor", "wall & door", "dock"))},
            ["floor", "wall & door", "dock"],
        ),
        "holds the label 'dock'; the classes are floor, wall & door, person",
    ),
    "twice": (
        lambda path: cvat_export(
            path, {"a/000003": in_words(MASK), "b/000003": in_words(MASK)}, CLASSES.names
        ),
        "labels '000003' twice",
    ),
    "none of them": (
        lambda path: cvat_export(path, {"7": in_words(MASK)}, CLASSES.names),
        "labels 0 of 2 frames; 1 label of no frame",
    ),
    "out of it": (
        lambda path: zipped(path, **{"labelmap.txt": "", "..__..__x.png": "x"}),
        "lies outside of it",
    ),
    "a bomb": (
        lambda path: zipped(
            path, **{"labelmap.txt": "a:1,2,3::", "SegmentationClass__000003.png": bytes(65 * 2**20)}
        ),
        "is larger than 64 MiB",
    ),
    "no image": (
        lambda path: zipped(path, **{"labelmap.txt": "a:1,2,3::", "SegmentationClass__000003.png": "no"}),
        "cannot be read as an image",
    ),
    "no masks": (lambda path: zipped(path, **{"labelmap.txt": "a:1,2,3::"}), "has no SegmentationClass"),
    "colours": (
        lambda path: zipped(path, **{"labelmap.txt": "a:1,2,3::\nb:1,2,3::", "SegmentationClass__0.png": ""}),
        "the colour of 'b' twice",
    ),
    "a line": (
        lambda path: zipped(path, **{"labelmap.txt": "a:1,2::", "SegmentationClass__0.png": ""}),
        "has the line 'a:1,2::'; expected",
    ),
    "png files": (
        lambda path: zipped(path, **{"task-1-annotation-2-by-1-tag-floor-0.png": ""}),
        "has no labelmap.txt",
    ),
    "no archive": (lambda path: path.write_text("text") and path, "is no zip archive"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_an_export_that_cannot_be_used_is_one_line(tmp_path, work, capsys, what):
    make, message = HOSTILE[what]
    export = make(tmp_path / "e.zip")
    assert main(["label", "collect", str(work), str(export), "-o", str(tmp_path / "mine")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line and not (tmp_path / "mine").exists()


@pytest.fixture
def tasks(work):
    with LabelStudioWriter(work, CLASSES) as writer:
        for name in NAMES:
            writer.add(f"{name}.jpg", MASK)
    assert 'value="wall &amp; door"' in (work / "label_studio.xml").read_text()
    return json.loads((work / "label_studio.json").read_text())


@pytest.mark.parametrize(
    "url", ["/data/local-files/?d=work/images/{}.jpg", "/data/upload/3/0a1b2c3d-{}.jpg", "s3://x/{}.jpg"]
)
def test_label_studio_gives_labels_back(tmp_path, work, tasks, url):
    for name, task in zip(NAMES, tasks, strict=True):
        task["data"]["image"] = url.format(name)
    masks, told = exported(label_studio_export(tmp_path / "e.json", tasks), *load_work(work))
    assert told == [] and all(np.array_equal(masks[name], MASK) for name in NAMES)


def first_stroke(tasks):
    return tasks[0]["predictions"][0]["result"][0]


def broken(change):
    def make(path, tasks):
        change(first_stroke(tasks))
        return label_studio_export(path, tasks)

    return make


def polygon(points):
    """Makes a stroke a polygon."""

    def change(stroke):
        value = {"points": points, "polygonlabels": stroke["value"]["brushlabels"]}
        stroke.update(type="polygonlabels", value=value)

    return change


def test_polygons_of_label_studio(tmp_path, work, tasks):
    polygon([[0, 0], [50, 0], [50, 100], [0, 100]])(first_stroke(tasks))
    masks, told = exported(label_studio_export(tmp_path / "e.json", tasks), *load_work(work))
    mask = masks[NAMES[0]]
    assert told == [] and (mask[:, :6] == 0).all() and np.array_equal(mask[:, 6:], MASK[:, 6:])


DAMAGED = {
    "another class": (broken(lambda s: s["value"].update(brushlabels=["dock"])), "holds the label 'dock'"),
    "a box": (broken(lambda s: s.update(type="rectanglelabels")), "a 'rectanglelabels' is neither a brush"),
    "a line": (broken(polygon([[0, 0], [50, 50]])), "a polygon of fewer than three points"),
    "a polygon beyond": (broken(polygon([[0, 0], [50, 50], [0, 101]])), "or with points beyond the picture"),
    "cut off": (
        broken(lambda s: s["value"].update(rle=s["value"]["rle"][:12])),
        "the brush's code is cut off",
    ),
    "another size": (
        broken(lambda s: s.update(original_width=9**9)),
        "a picture cannot be 387420489×16 pixels",
    ),
    "no bytes": (broken(lambda s: s["value"].update(rle=["x"])), "a task of"),
    "no task": (lambda path, _: path.write_text("[1]") and path, "is no list of tasks with annotations"),
    "no JSON": (lambda path, _: path.write_text("[") and path, "is not valid JSON"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_export_of_label_studio(tmp_path, work, tasks, capsys, what):
    make, message = DAMAGED[what]
    export = make(tmp_path / "e.json", tasks)
    assert main(["label", "collect", str(work), str(export), "-o", str(tmp_path / "mine")]) == 2
    assert message in capsys.readouterr().err


def test_the_brush_code():
    painted = np.array([[0, 1, 0], [0, 1, 0]], bool)
    # What mask2rle of label-studio-sdk 2.1.2 makes of this picture.
    theirs = [0, 0, 0, 24, 57, 27, 252, 96, 17, 255, 206, 1, 31, 252, 96, 0]
    assert np.array_equal(brush.decode(theirs, 3, 2), painted)
    assert np.array_equal(brush.decode(brush.encode(painted), 3, 2), painted)
    for seed in range(20):
        many = np.random.default_rng(seed).random((37, 53)) < seed / 19
        assert np.array_equal(brush.decode(brush.encode(many), 53, 37), many)
    large = np.zeros((700, 900), bool)
    large[300:, 5:] = True
    assert np.array_equal(brush.decode(brush.encode(large), 900, 700), large)


def test_data_sets_do_not_mix(tmp_path, work):
    notes, classes = load_work(work)
    masks = {NAMES[0]: MASK}
    root = tmp_path / "mine"
    write_data_set(root, "train", "", notes, classes, masks, force=False)
    with pytest.raises(DcfmError, match="has the classes floor, wall & door, person, these labels a, b"):
        write_data_set(root, "val", "", notes, ClassSet(("a", "b"), CLASSES.colors[:2]), masks, force=False)
    moved = tmp_path / "elsewhere" / "lab"
    shutil.copytree(notes.recording, moved)
    other = Work(str(moved), "", notes.frames)
    with pytest.raises(DcfmError, match="is another recording than .* give this one another --name"):
        write_data_set(root, "train", "", other, classes, masks, force=False)
    write_data_set(root, "train", "second", other, classes, masks, force=False)
    assert len(open_dataset("recordings", root)) == 2
    shutil.rmtree(moved)
    with pytest.raises(DcfmError, match="is not there any more"):
        write_data_set(root, "train", "third", other, classes, masks, force=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepare", "nowhere", "-o", "new"], "nowhere does not exist"),
        (["prepare", "lab", "-o", "full"], "The output full is not empty; give"),
        (["collect", "full", "x.zip", "-o", "mine"], "full' has no labelling.json"),
        (["collect", "work", "x.zip", "-o", "mine"], "'x.zip' does not exist"),
        (
            ["collect", "work", "x.zip", "-o", "mine", "--split", "../.."],
            "--split is '../..'; expected a name",
        ),
    ],
)
def test_wrong_paths(work, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(work.parent)
    Path("full").mkdir()
    Path("full/file").touch()
    monkeypatch.setenv("DCFM_ENGINE", "torch")
    assert main(["label", *arguments]) == 2
    assert message in capsys.readouterr().err
