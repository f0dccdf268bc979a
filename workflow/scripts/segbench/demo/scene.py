"""Compose what a camera on a road sees: an urban or a rural scene, from far to near.

A drive (one recording) fixes light, road and surroundings; its frames differ in where things
stand. Everything follows from the seeds.
"""

from dataclasses import dataclass

import numpy as np

from segbench.demo import actors
from segbench.demo.actors import Actor, Rng, pick
from segbench.demo.shapes import Camera, Color, Detail, Point, Shape, box


@dataclass(frozen=True, slots=True)
class Scene:
    """Shapes in the order in which they are painted, and the light they are seen in.

    Attributes:
        shapes: far ones first.
        haze: colour of the air.
        visibility: distance in metres after which haze takes over.
        brightness: 1 is noon.
    """

    shapes: list[Shape]
    haze: Color
    visibility: float
    brightness: float


@dataclass(frozen=True, slots=True)
class Drive:
    """What stays the same over the frames of one recording."""

    domain: str
    road_half: float
    bend: float
    horizon: float
    haze: Color
    visibility: float
    brightness: float
    density: float

    @classmethod
    def random(cls, domain: str, rng: Rng) -> "Drive":
        """Draw the conditions of a recording in one of the domains."""
        urban = domain == "urban"
        warm = float(rng.uniform(0, 1))
        return cls(
            domain=domain,
            road_half=float(rng.uniform(3.6, 6.0) if urban else rng.uniform(1.7, 3.0)),
            bend=float(rng.normal(0, 10 if urban else 35)),
            horizon=float(rng.uniform(0.38, 0.5)),
            haze=(205 + 20 * warm, 208 + 6 * warm, 214 - 22 * warm),
            visibility=float(rng.uniform(50, 140) if urban else rng.uniform(60, 220)),
            brightness=float(rng.uniform(0.72, 1.1)),
            density=float(rng.uniform(0.6, 1.3)),
        )


def compose(drive: Drive, size: tuple[int, int], rng: Rng) -> Scene:
    """Compose one frame of a drive.

    Args:
        drive: the conditions of the recording.
        size: height and width of the image in pixels.
        rng: decides where things stand in this frame.
    """
    height, width = size
    camera = Camera(
        width=width,
        height=height,
        horizon=height * (drive.horizon + float(rng.normal(0, 0.012))),
        vanishing=width * (0.5 + float(rng.normal(0, 0.05))),
        bend=drive.bend,
    )
    build = _urban if drive.domain == "urban" else _rural
    shapes = [_sky(camera, rng), *build(camera, drive, rng)]
    return Scene(shapes, drive.haze, drive.visibility, drive.brightness)


def _sky(camera: Camera, rng: Rng) -> Shape:
    below = camera.horizon + 4
    tone = float(rng.uniform(0, 1))
    color = (138 + 60 * tone, 172 + 32 * tone, 214 + 6 * tone)
    return Shape("sky", box(0, below, camera.width, 0), color, 0.0, 0.02, -0.18)


def _ground(camera: Camera, label: str, color: Color, grain: float) -> Shape:
    outline = box(0, camera.height, camera.width, camera.horizon)
    return Shape(label, outline, color, 12.0, grain, 0.1)


def _urban(camera: Camera, drive: Drive, rng: Rng) -> list[Shape]:
    half = drive.road_half
    shapes = _skyline(camera, rng)
    shapes.append(_ground(camera, "non-drivable fallback", (150, 138, 122), 0.14))
    grey = float(rng.uniform(84, 116))
    for side in (-1, 1):
        walk = camera.strip(side * (half + 0.3), side * (half + 2.9))
        shapes.append(Shape("sidewalk", walk, (168, 152, 142), 12.0, 0.1))
        shapes += _curb(camera, side * half, side * (half + 0.35))
    road = camera.strip(-half, half)
    shapes.append(
        Shape("road", road, (grey, grey, grey + 3), 12.0, 0.05, 0.0, _lane_marks(camera, half))
    )
    if rng.random() < 0.35:
        bay = camera.strip(half - 1.9, half, near=float(rng.uniform(6, 14)), far=60)
        shapes.append(Shape("parking", bay, (grey + 22, grey + 16, grey + 12), 15.0, 0.07))
    things = [*_rows_of_buildings(camera, half, rng)]
    kerbside: list[Actor] = [
        actors.pole, actors.tree, actors.traffic_sign, actors.person, actors.person,
        actors.billboard, actors.traffic_light, actors.bush,
    ]  # fmt: skip
    traffic: list[Actor] = [
        actors.car, actors.car, actors.autorickshaw, actors.motorcycle, actors.bus, actors.truck,
        actors.bicycle,
    ]  # fmt: skip
    things += _scatter(camera, rng, kerbside, int(11 * drive.density), half + 0.8, half + 3.2)
    things += _scatter(camera, rng, traffic, int(6 * drive.density), 0.8, half - 0.9, near=7)
    return shapes + _far_to_near(things)


def _rural(camera: Camera, drive: Drive, rng: Rng) -> list[Shape]:
    half = drive.road_half
    shapes = _tree_line(camera, rng)
    earth = pick(rng, [(150, 132, 92), (134, 138, 84), (166, 146, 110)])
    shapes.append(_ground(camera, "non-drivable fallback", earth, 0.2))
    dirt = pick(rng, [(176, 150, 116), (158, 128, 98), (188, 168, 140)])
    label = "drivable fallback" if rng.random() < 0.5 else "road"
    edge = camera.strip(-half - 0.5, half + 0.5)
    shapes.append(Shape("drivable fallback", _uneven(edge, rng), dirt, 12.0, 0.16))
    worn = (dirt[0] - 22, dirt[1] - 20, dirt[2] - 18)
    ruts = [
        Detail(camera.strip(x - 0.25, x + 0.25, near=2, far=60), worn)
        for x in (-0.45 * half, 0.45 * half)
    ]
    track = _uneven(camera.strip(-half, half), rng)
    shapes.append(Shape(label, track, (dirt[0] + 8, dirt[1] + 6, dirt[2] + 4), 12.0, 0.1, 0, ruts))
    verge: list[Actor] = [
        actors.tree, actors.bush, actors.bush, actors.bush, actors.tree, actors.pole, actors.cow,
        actors.person,
    ]  # fmt: skip
    traffic: list[Actor] = [
        actors.motorcycle, actors.tractor, actors.person, actors.cow, actors.bicycle,
        actors.autorickshaw,
    ]  # fmt: skip
    things = _scatter(camera, rng, verge, int(24 * drive.density), half + 1.0, half + 12.0)
    things += _scatter(camera, rng, traffic, int(3 * drive.density), 0.3, half - 0.4, near=8)
    # a herd with its herdsman, often so near that a small network can learn what it is
    herd: list[Actor] = [actors.cow, actors.cow, actors.person]
    things += _scatter(camera, rng, herd, 4, 0.6 * half, half + 3.0, near=5, far=14)
    for side in (-1, 1):
        if rng.random() < 0.6:
            things += _field_wall(camera, rng, side * (half + float(rng.uniform(1.5, 4.0))))
    if rng.random() < 0.5:
        things.append(_hut(camera, rng, half))
    return shapes + _far_to_near(things)


def _skyline(camera: Camera, rng: Rng) -> list[Shape]:
    shapes, x = [], -10.0
    while x < camera.width:
        wide = float(rng.uniform(0.06, 0.16)) * camera.width
        tall = float(rng.uniform(0.05, 0.2)) * camera.height
        color = pick(rng, [(150, 142, 136), (170, 156, 140), (130, 132, 138)])
        outline = box(x, camera.horizon + 3, x + wide, camera.horizon - tall)
        shapes.append(Shape("building", outline, color, 90.0, 0.05))
        x += wide * float(rng.uniform(0.8, 1.3))
    return shapes


def _tree_line(camera: Camera, rng: Rng) -> list[Shape]:
    """Far vegetation along the whole horizon, with an uneven upper edge."""
    xs = np.linspace(-5, camera.width + 5, 28)
    tops = camera.horizon - camera.height * (0.03 + 0.07 * rng.random(28))
    outline: list[Point] = [(float(x), float(y)) for x, y in zip(xs, tops, strict=True)]
    outline += [(camera.width + 5, camera.horizon + 3), (-5, camera.horizon + 3)]
    return [Shape("vegetation", outline, (84, 104, 70), 80.0, 0.25, 0.2)]


def _curb(camera: Camera, inner: float, outer: float) -> list[Shape]:
    """A kerb painted black and white in turns, as in Indian cities."""
    edges = 1.0 / np.linspace(1 / 3.0, 1 / 60.0, 16)
    dark = [
        Detail(camera.strip(inner, outer, near=float(a), far=float(b), up=0.12), (52, 50, 48))
        for a, b in zip(edges[::2], edges[1::2], strict=True)
    ]
    return [
        Shape("curb", camera.strip(inner, outer, up=0.12), (206, 202, 190), 10.0, 0.06, 0, dark)
    ]


def _lane_marks(camera: Camera, half: float) -> list[Detail]:
    white: Color = (222, 220, 208)
    dashes = [
        Detail(camera.strip(-0.09, 0.09, near=z, far=z + 3.0), white) for z in range(4, 70, 7)
    ]
    edges = [
        Detail(camera.strip(side * (half - 0.45), side * (half - 0.3), near=2), white)
        for side in (-1, 1)
    ]
    return dashes + edges


def _rows_of_buildings(camera: Camera, half: float, rng: Rng) -> list[Shape]:
    """House fronts along both sides, with walls or fences before some of them."""
    shapes = []
    for side in (-1.0, 1.0):
        z = float(rng.uniform(5, 12))
        while z < 75:
            depth = float(rng.uniform(7, 16))
            if rng.random() < 0.78:
                x = side * (half + 3.4 + float(rng.uniform(0, 2.5)))
                shapes += _house(camera, rng, x, z, depth)
            elif rng.random() < 0.7:
                label = "wall" if rng.random() < 0.5 else "fence"
                color: Color = (158, 120, 98) if label == "wall" else (122, 124, 120)
                x, top = side * (half + 3.2), float(rng.uniform(1.2, 2.2))
                face = _side_face(camera, x, z, z + depth, 0.0, top)
                shapes.append(Shape(label, face, color, z, 0.12))
            z += depth + float(rng.uniform(0, 4))
    return shapes


def _side_face(
    camera: Camera, x: float, near: float, far: float, low: float, top: float
) -> list[Point]:
    corners = ((low, near), (top, near), (top, far), (low, far))
    return [camera.project(x, y, z) for y, z in corners]


def _house(camera: Camera, rng: Rng, x: float, z: float, depth: float) -> list[Shape]:
    top = float(rng.uniform(4, 12))
    color = pick(rng, [(196, 176, 150), (178, 130, 108), (160, 168, 172), (206, 196, 170)])
    floors = np.arange(1.2, top - 1.4, 2.8)
    windows = [
        Detail(_side_face(camera, x, a, a + 1.3, float(y), float(y) + 1.3), (64, 66, 72))
        for y in floors
        for a in np.arange(z + 1.0, z + depth - 1.5, 2.8).tolist()
    ]
    outward = x + float(np.sign(x)) * 9.0
    front = [camera.project(px, y, z) for px, y in ((x, 0), (x, top), (outward, top), (outward, 0))]
    red, green, blue = (0.8 * c for c in color)
    return [
        Shape("building", front, (red, green, blue), z, 0.06),
        Shape(
            "building", _side_face(camera, x, z, z + depth, 0, top), color, z, 0.06, 0.1, windows
        ),
    ]


def _hut(camera: Camera, rng: Rng, half: float) -> Shape:
    x = float(rng.choice([-1.0, 1.0])) * (half + float(rng.uniform(5, 9)))
    z = float(rng.uniform(16, 40))
    outline = [
        (-2.2, 0.0),
        (-2.2, 2.1),
        (-2.8, 2.1),
        (0.0, 3.7),
        (2.8, 2.1),
        (2.2, 2.1),
        (2.2, 0.0),
    ]
    roof = [(-2.8, 2.1), (0.0, 3.7), (2.8, 2.1)]
    details = [
        Detail(camera.upright(x, z, roof), (124, 100, 66)),
        Detail(camera.upright(x, z, box(-0.5, 0.0, 0.5, 1.6)), (60, 48, 40)),
    ]
    return Shape("building", camera.upright(x, z, outline), (172, 140, 106), z, 0.1, 0.1, details)


def _field_wall(camera: Camera, rng: Rng, x: float) -> list[Shape]:
    """The wall of a field along the road, whitewashed or painted, in parts of some metres."""
    color = pick(rng, [(232, 230, 224), (72, 104, 156)])
    ends = np.arange(float(rng.uniform(3, 8)), 60, 6.0).tolist()
    top = float(rng.uniform(1.3, 2.1))
    return [
        Shape("wall", _side_face(camera, x, a, a + 5.6, 0.0, top), color, a, 0.1, 0.1)
        for a in ends
        if rng.random() < 0.85
    ]


def _uneven(outline: list[Point], rng: Rng) -> list[Point]:
    """Fray the edges of a strip, more where it is near and therefore large."""
    lowest = max(y for _, y in outline)
    highest = min(y for _, y in outline)
    return [
        (x + float(rng.normal(0, 5)) * (y - highest) / (lowest - highest + 1), y)
        for x, y in outline
    ]


def _scatter(
    camera: Camera,
    rng: Rng,
    kinds: list[Actor],
    count: int,
    inner: float,
    outer: float,
    near: float = 4.5,
    far: float = 60.0,
) -> list[Shape]:
    """Place `count` things at random on both sides, evenly over the depth of the picture."""
    shapes = []
    for _ in range(count):
        z = 1.0 / float(rng.uniform(1.0 / far, 1.0 / near))
        x = float(rng.choice([-1.0, 1.0])) * float(rng.uniform(inner, max(outer, inner + 0.1)))
        shapes += kinds[int(rng.integers(len(kinds)))](camera, rng, x, z)
    return shapes


def _far_to_near(shapes: list[Shape]) -> list[Shape]:
    # sorted() is stable, so the parts of one thing keep their order
    return sorted(shapes, key=lambda shape: -shape.depth)
