"""Real ROS graphs for the tests: nodes that talk over DDS, and waiting for events instead of sleeping."""

import itertools
import threading
import time
from array import array

import numpy as np
from dcfm_ros.msg import FrameTiming
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from dcfm_ros.node.node import DcfmNode

PATIENCE_S = 60.0  # on a machine that is busy with something else
ASK_AGAIN_S = 1.0
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 66_666_667
_numbers = itertools.count()

# Outputs of a node, for `Graph.segmenting`.
MASKS = Image, "segmentation/mask"
TIMINGS = FrameTiming, "dcfm/timing"


def qos(reliability="reliable", depth=200, durability="volatile"):
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy[reliability.upper()],
        durability=DurabilityPolicy[durability.upper()],
    )


def stamp_of(index):
    """Stamp of the frame with this number, ns, at 15 Hz."""
    return START_NS + index * PERIOD_NS


def stamp_ns(header):
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


def set_stamp(header, nanoseconds):
    header.stamp.sec, header.stamp.nanosec = divmod(nanoseconds, 1_000_000_000)


def picture(index=0, size=(160, 96)):
    """uint8 H×W×3 RGB: smooth, and different in every frame."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    waves = [
        np.sin(x / (9 + 4 * c) + index / (2 + c)) + np.cos(y / (13 - 3 * c) - index / 3) for c in range(3)
    ]
    return np.clip(127 + 60 * np.dstack(waves), 0, 255).astype(np.uint8)


def image(pixels, stamp=START_NS, *, encoding="rgb8", frame_id="camera", padding=0):
    """An Image of uint8 H×W or H×W×C pixels, each row followed by `padding` bytes."""
    height, width = pixels.shape[:2]
    rows = np.pad(pixels.reshape(height, -1), ((0, 0), (0, padding)), constant_values=77)
    return raw_image(encoding, height, width, rows.shape[1], rows.tobytes(), stamp, frame_id)


def raw_image(encoding, height, width, step, data, stamp=START_NS, frame_id="camera"):
    """An Image with these fields, sensible or not."""
    message = Image(height=height, width=width, encoding=encoding, step=step, data=array("B", data))
    message.header.frame_id = frame_id
    set_stamp(message.header, stamp)
    return message


def pixels_of(message):
    """uint8 H×W or H×W×C pixels of an Image without padding."""
    channels = message.step // message.width
    assert message.step == message.width * channels
    flat = np.frombuffer(message.data, np.uint8)
    shape = (message.height, message.width) if channels == 1 else (message.height, message.width, channels)
    return flat.reshape(shape)


class Spinner:
    """Spins one node on a thread of its own."""

    def __init__(self, node):
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._spin, name=f"spin {node.get_name()}", daemon=True)
        self._thread.start()

    def _spin(self):
        while not self._ended.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def stop(self):
        self._ended.set()
        self._executor.wake()
        self._thread.join()
        self._executor.shutdown(timeout_sec=0)


class Listener:
    """A subscription that keeps what it gets."""

    def __init__(self, probe, kind, topic, profile):
        self._probe = probe
        self.messages = []
        self._subscription = probe.create_subscription(kind, topic, self._keep, profile)
        self.topic = self._subscription.topic_name

    def _keep(self, message):
        with self._probe.changed:
            self.messages.append(message)
            self._probe.changed.notify_all()

    def leave(self, node):
        """Unsubscribe, and wait until the node knows it."""
        self._probe.destroy_subscription(self._subscription)
        publisher = next(p for p in node.publishers if p.topic_name == self.topic)
        self._probe.until(lambda: publisher.get_subscription_count() == 0, f"the end of {self.topic}")

    @property
    def stamps(self):
        return [stamp_ns(message.header) for message in self.messages]

    def wait(self, count=1, seconds=PATIENCE_S):
        """The messages, once there are `count`."""
        self._probe.until(
            lambda: len(self.messages) >= count, f"{count} messages on {self.topic}", seconds=seconds
        )
        return self.messages

    def wait_for(self, stamp, seconds=PATIENCE_S):
        """The first message with this stamp."""
        self._probe.until(lambda: stamp in self.stamps, f"stamp {stamp} on {self.topic}", seconds=seconds)
        return self.messages[self.stamps.index(stamp)]


class Probe(Node):
    """Plays the cameras and listens to what comes out."""

    def __init__(self, namespace=""):
        super().__init__(f"probe{next(_numbers)}", namespace=namespace)
        self.changed = threading.Condition()
        self.history = []  # every DiagnosticStatus that came
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 100)

    def _on_diagnostics(self, message):
        with self.changed:
            self.history += message.status
            self.changed.notify_all()

    def until(self, predicate, what, *, seconds=PATIENCE_S):
        """Wait until the predicate holds: it is looked at after each message, and now and then for the graph."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not predicate():
                assert time.monotonic() < deadline, (
                    f"gave up after waiting {seconds:g} s for {what() if callable(what) else what}"
                )
                self.changed.wait(0.02)

    def listen(self, kind, topic, profile=None):
        return Listener(self, kind, topic, profile or qos())

    def camera(self, topic="image", kind=Image, profile=None):
        """A publisher of images."""
        return self.create_publisher(kind, topic, profile or qos())

    def matched(self, *publishers):
        """Wait until each of these publishers has a subscriber."""
        for publisher in publishers:
            self.until(
                lambda publisher=publisher: publisher.get_subscription_count() > 0,
                f"a subscriber of {publisher.topic_name}",
            )

    def call(self, kind, service, request):
        """The answer of a service of the node `dcfm`."""
        client = self.create_client(kind, service)
        try:
            assert client.wait_for_service(PATIENCE_S), f"no service {service}"
            self._wait_until_met()
            future = client.call_async(request)
            self.until(future.done, f"an answer of {service}")
            return future.result()
        finally:
            self.destroy_client(client)

    def _wait_until_met(self):
        """Wait until the node `dcfm` knows every client that was made here so far.

        A service that has not met the reader of its answer after 100 ms drops the answer, and asking again for a
        transition is not the same as asking once. Readers are announced in the order in which they are made, so a
        node that answers a newer client has met the older ones, and its state may be asked for as often as it takes.
        """
        client = self.create_client(GetState, "dcfm/get_state")
        answers = []

        def answered():
            now = time.monotonic()
            if not answers or now > answers[-1][0] + ASK_AGAIN_S:
                answers.append((now, client.call_async(GetState.Request())))
            return any(future.done() for _, future in answers)

        try:
            self.until(answered, "an answer of dcfm/get_state")
        finally:
            self.destroy_client(client)

    def status(self, name, accept=lambda status: True, what="any"):
        """The newest diagnostic status whose name ends in `name` and that `accept` likes, as soon as there is one.

        Looks at all of them, since some say what happened in their own short window only.
        """

        def named():
            return [status for status in reversed(self.history) if status.name.endswith(name)]

        def newest():
            return next(filter(accept, named()), None)

        self.until(
            lambda: newest() is not None,
            lambda: f"a status '{name}' that is {what}; the newest: {named()[:1]}",
        )
        return newest()


class Graph:
    """A namespace of its own with a probe in it, and the nodes of a test."""

    def __init__(self, weights):
        self._weights = weights
        self.namespace = f"/test{next(_numbers)}"
        self.probe = Probe(self.namespace)
        self._spinners = [Spinner(self.probe)]
        self._nodes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for spinner in reversed(self._spinners):
            spinner.stop()
        for node in self._nodes:
            node.close()
        self.probe.destroy_node()

    def node(self, *, remap=(), **parameters):
        """A DCFM node with these parameters, started and spinning; quick diagnostics, deterministic key frames."""
        values = {
            "weights": str(self._weights),
            "mode": "inline",
            "diagnostics_period_s": 0.1,
            "engine": "torch",
            "threads": 1,
            **parameters,
        }
        words = [word for rule in remap for word in ("-r", rule)]
        node = DcfmNode(
            namespace=self.namespace,
            cli_args=["--ros-args", *words],
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
        )
        self._nodes.append(node)
        node.start()
        self._spinners.append(Spinner(node))
        return node

    def ready(self, node, *listeners):
        """Wait until the node's publishers have found these listeners."""
        for listener in listeners:
            self.probe.until(
                lambda listener=listener: any(
                    publisher.topic_name == listener.topic and publisher.get_subscription_count() > 0
                    for publisher in node.publishers
                ),
                f"{listener.topic} to be matched",
            )

    def segmenting(self, *outputs, **parameters):
        """(camera, a listener for each output) of a node with these parameters, everything connected.

        outputs: (type, topic); without any: the masks.
        """
        node = self.node(**parameters)
        camera = self.probe.camera()
        listeners = [self.probe.listen(*output) for output in outputs or [MASKS]]
        self.probe.matched(camera)
        self.ready(node, *listeners)
        return camera, *listeners


def camera_info(size, stamp=START_NS, frame_id="camera"):
    """The CameraInfo of a pinhole camera of `size` = (width, height)."""
    width, height = size
    info = CameraInfo(width=width, height=height, distortion_model="plumb_bob", d=[0.1, -0.2, 0.0, 0.0, 0.0])
    info.k = [float(width), 0.0, width / 2, 0.0, float(height), height / 2, 0.0, 0.0, 1.0]
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    info.p = [float(width), 0.0, width / 2, 7.0, 0.0, float(height), height / 2, 0.0, 0.0, 0.0, 1.0, 0.0]
    info.header.frame_id = frame_id
    set_stamp(info.header, stamp)
    return info
